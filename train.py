"""Train the network of model.py on MNIST, test it and save its weights.

    python train.py

Shows the loss at every 100th step and the test accuracy after every epoch, about
99.45 % after five. Writes model.ckpt, the weights that demo.py reads.
"""

import argparse
import math
import os
import socket
import sys
import time
from pathlib import Path

import torch
from torch.nn import functional as F
from torchvision.datasets import MNIST

from model import WEIGHTS_FILE, ConvNet, choose_device, to_input


def load_mnist(data_dir: Path, device: torch.device) -> list[tuple[torch.Tensor, ...]]:
    """Return the training set and the test set, whole, as tensors on the device.

    Images (N, 28, 28) uint8, labels (N,) int64. ValueError if they cannot be loaded.
    """
    raw = data_dir / "MNIST" / "raw"
    socket.setdefaulttimeout(10)  # seconds; without it a download may wait for ever
    try:
        if any(data_dir.glob("*ubyte*")):
            raise ValueError(f"move the files of {data_dir} there")
        sets = [MNIST(data_dir, train, download=True) for train in (True, False)]
        for data in sets:
            if data.data.shape != (len(data.targets), 28, 28) or data.targets.max() > 9:
                raise ValueError("expected images of 28x28, each with a label 0 to 9")
    except Exception as error:  # a broken file may raise anything
        names = ", ".join(name for name, _ in MNIST.resources)
        why = " ".join(str(error).split()) or "a file is not in the IDX format"
        raise ValueError(f"{raw}: no MNIST ({why}), keep only {names} there") from error
    return [(data.data.to(device), data.targets.to(device)) for data in sets]


def distort(images: torch.Tensor) -> torch.Tensor:
    """Move each image (N, 28, 28) uint8 a little: (N, 1, 28, 28) float32 in [0, 1]."""
    # Random affine matrices, from the CPU: a seed means the same for each device.
    limits = torch.tensor([0.1, 0.1, 2 / 28])  # images span -1 to 1: 2 / 28 is a pixel
    change = limits * torch.empty(len(images), 2, 3).uniform_(-1, 1)
    matrices = (torch.eye(2, 3) + change).to(images.device)
    # Find where each pixel comes from, and blend the four pixels around that place.
    grid = F.affine_grid(matrices, (len(images), 1, 28, 28), align_corners=False)
    return F.grid_sample(to_input(images), grid, align_corners=False)


def train(
    train_set: tuple, test_set: tuple, epochs: int, batch_size: int, lr: float
) -> tuple[ConvNet, float]:
    """Return a trained network and its test accuracy in %, or raise ValueError."""
    images, labels = train_set
    steps, device = math.ceil(len(images) / batch_size), images.device
    model = ConvNet().to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.99), fused=True)
    # The learning rate rises to lr, then falls to almost 0: see the README's ladder.
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, lr, steps * epochs, pct_start=0.15, cycle_momentum=False
    )
    # Numbers of 16 bits are faster on CPUs that have them, and far slower on others.
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()  # torch 2.10 or newer
    use_bfloat16 = device.type == "cpu" and capabilities.get("avx512_bf16", False)
    for epoch in range(1, epochs + 1):
        name, start = f"Epoch [{epoch}/{epochs}]", time.perf_counter()
        model.train()
        inputs = distort(images)  # new ones in each epoch
        order = torch.randperm(len(images)).to(device)
        for step, batch in enumerate(order.split(batch_size), start=1):
            # The first layer is frozen after a fifth of the steps: 40 % faster.
            is_early = scheduler.last_epoch < steps * epochs / 5  # steps so far
            model.layer1.requires_grad_(is_early).train(is_early)
            with torch.autocast(device.type, torch.bfloat16, use_bfloat16):
                logits = model(inputs[batch])
                loss = F.cross_entropy(logits, labels[batch], label_smoothing=0.03)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            if step % 100 == 0:
                print(f"{name}, Step [{step}/{steps}], Loss: {loss:.4f}", flush=True)
        if not loss.isfinite():
            raise ValueError("the loss is no longer a number, choose a smaller --lr")
        seconds = time.perf_counter() - start
        accuracy = evaluate(model, *test_set)
        print(f"{name}: {seconds:.1f} s, test accuracy {accuracy:.2f} %", flush=True)
    return model, accuracy


@torch.inference_mode()
def evaluate(model: ConvNet, images: torch.Tensor, labels: torch.Tensor) -> float:
    """Return how many of the images (N, 28, 28) uint8 the model gets right, in %."""
    model.eval()
    answers = [model(to_input(batch)).argmax(1) for batch in images.split(100)]
    return 100 * (torch.cat(answers) == labels).sum().item() / len(labels)


def main(argv: list[str] | None = None) -> None:
    """Load the data, train, save the weights, print the test accuracy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data-dir", type=Path, default=Path(__file__).resolve().parent / "data")
    add("--epochs", type=int, default=5, help="passes over the training images")
    add("--batch-size", type=int, default=100, help="images per step")
    add("--lr", type=float, default=0.01, help="the highest learning rate")
    add("--seed", type=int, default=0, help="of the random numbers")
    add("--device", help="cpu, cuda, cuda:1, ...; default: cuda if it works, else cpu")
    add("--output", type=Path, default=WEIGHTS_FILE, help="file for the weights")
    args = parser.parse_args(argv)
    if not min(args.epochs, args.batch_size, args.lr) > 0:
        parser.error("--epochs, --batch-size and --lr must be above 0")
    try:
        is_other = args.output.exists() and not args.output.is_file()
        if is_other or not os.access(args.output.parent, os.W_OK):
            raise ValueError(f"{args.output}: choose a file in a writable folder")
        sets = load_mnist(args.data_dir, choose_device(args.device))
        torch.manual_seed(args.seed)  # of the weights, the order and the distortions
        torch.backends.cudnn.deterministic = True
        model, accuracy = train(*sets, args.epochs, args.batch_size, args.lr)
        torch.save(model.cpu().state_dict(), f"{args.output}.part")
        os.replace(f"{args.output}.part", args.output)  # old weights are safe until now
    except ValueError as error:
        sys.exit(f"train.py: {error}")
    except (OSError, RuntimeError) as error:  # out of memory or of space on the disk
        sys.exit(f"train.py: cannot train or save {args.output}, no space? ({error})")
    except KeyboardInterrupt:
        sys.exit("train.py: stopped, no weights were saved")
    count = len(sets[1][1])
    print(f"Test Accuracy of the model on the {count} test images: {accuracy:.2f} %")


if __name__ == "__main__":
    main()
