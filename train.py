"""Train the network of model.py on MNIST, test it and save its weights.

    python train.py

Prints the loss every 100 steps and the test accuracy after every epoch, and writes
model.ckpt, the weights that demo.py reads. A run ends like this, after a minute and
a half on two cores of an AMD EPYC without bfloat16:

    Epoch [5/5], Step [600/600], Loss: 0.2044
    Epoch [5/5]: 12.0 s, test accuracy 99.37 %
    Test Accuracy of the model on the 10000 test images: 99.37 %
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

Dataset = tuple[torch.Tensor, torch.Tensor]  # images and their labels


def load_mnist(data_dir: Path, device: torch.device) -> list[Dataset]:
    """Return the training set and the test set, whole, as tensors on the device.

    Images (N, 28, 28) uint8, labels (N,) int64. Raises ValueError if they cannot be
    loaded from data_dir/MNIST/raw; files that are not there are downloaded.
    """
    raw = data_dir / MNIST.__name__ / "raw"
    if any(data_dir.glob("*ubyte*")):  # torchvision would ignore them, and download
        raise ValueError(
            f"{data_dir}: --data-dir is the folder that contains {MNIST.__name__}/raw "
            "with the files in it, for example data"
        )

    socket.setdefaulttimeout(10)  # seconds; without it a download may hang forever
    try:
        sets = [MNIST(data_dir, train=part, download=True) for part in (True, False)]
    except (
        AssertionError,
        KeyError,
        OSError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        files = ", ".join(name for name, _ in MNIST.resources)
        raise ValueError(
            f"{raw}: cannot load {MNIST.__name__} ({error!r}); put {files} there and "
            "nothing else, and make it writable, because they are unpacked there"
        ) from error

    for data in sets:
        if data.data.shape != (len(data.targets), 28, 28) or data.targets.max() > 9:
            raise ValueError(
                f"{raw}: found images {tuple(data.data.shape)}, {len(data.targets)} "
                f"labels up to {data.targets.max()}, expected 28x28 and labels 0 to 9"
            )
    return [(data.data.to(device), data.targets.to(device)) for data in sets]


def distort(images: torch.Tensor) -> torch.Tensor:
    """Turn, stretch, slant and shift each image a little, at random.

    Takes (N, 28, 28) uint8 and returns (N, 1, 28, 28) float32 in [0, 1].
    """
    inputs = to_input(images)

    # A 2x3 matrix for each image. The left 2x2 part turns, stretches and slants; the
    # last column shifts by up to a pixel, 2/28, as images reach from -1 to 1 here. The
    # CPU draws the numbers, so that a seed means the same on every device.
    linear = torch.eye(2) + torch.empty(len(images), 2, 2).uniform_(-0.1, 0.1)
    shift = torch.empty(len(images), 2, 1).uniform_(-2 / 28, 2 / 28)
    matrices = torch.cat([linear, shift], dim=2).to(images.device)

    # Find where each pixel comes from, and blend the four pixels around that place.
    grid = F.affine_grid(matrices, inputs.shape, align_corners=False)
    return F.grid_sample(inputs, grid, align_corners=False)


def has_fast_bfloat16(device: torch.device) -> bool:
    """Return whether the device computes faster with bfloat16, numbers of 16 bits.

    CPUs that have instructions for it (AVX512-BF16) do; the others emulate it, many
    times slower. Only CPUs are asked: for so small a network a GPU's time goes into
    starting each operation, and converting the numbers would add some.
    """
    return (
        device.type == "cpu"
        and hasattr(torch.cpu, "get_capabilities")  # torch 2.10 or newer
        and torch.cpu.get_capabilities().get("avx512_bf16", False)
    )


def train(
    train_set: Dataset, test_set: Dataset, epochs: int, batch_size: int, lr: float
) -> tuple[ConvNet, float]:
    """Return a trained network and its accuracy on the test set in percent."""
    images, labels = train_set
    device = images.device
    steps = math.ceil(len(images) / batch_size)

    model = ConvNet().to(device, memory_format=torch.channels_last)  # for speed
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.99), fused=True)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(  # the rate rises to lr, then falls
        optimizer,
        max_lr=lr,
        total_steps=epochs * steps,
        pct_start=0.15,  # rises for 15% of the steps
        cycle_momentum=False,  # the betas stay as they are
    )
    use_bfloat16 = has_fast_bfloat16(device)

    for epoch in range(1, epochs + 1):
        title = f"Epoch [{epoch}/{epochs}]"
        start = time.perf_counter()
        model.train()

        if epoch > 1:
            # By now the first layer has its filters. Frozen, it needs no gradients, so
            # an epoch is a third faster. Eval mode freezes its normalisation, too.
            model.layer1.requires_grad_(False).eval()

        order = torch.randperm(len(images)).to(device)
        for step, batch in enumerate(order.split(batch_size), start=1):
            inputs = distort(images[batch])

            # Autocast computes with 16 bits; the weights keep 32.
            with torch.autocast(device.type, torch.bfloat16, enabled=use_bfloat16):
                logits = model(inputs)
                loss = F.cross_entropy(logits, labels[batch], label_smoothing=0.03)

            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()

            if step % 100 == 0:
                print(f"{title}, Step [{step}/{steps}], Loss: {loss:.4f}", flush=True)

        if not loss.isfinite():
            sys.exit(
                f"train.py: training diverged (loss {loss}), choose a smaller --lr"
            )

        seconds = time.perf_counter() - start
        accuracy = evaluate(model, *test_set)
        print(f"{title}: {seconds:.1f} s, test accuracy {accuracy:.2f} %", flush=True)

    return model, accuracy


@torch.inference_mode()  # keeps nothing for gradients
def evaluate(model: ConvNet, images: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the percentage of images (N, 28, 28) uint8 classified correctly."""
    model.eval()
    logits = torch.cat([model(to_input(batch)) for batch in images.split(1000)])
    correct = logits.argmax(1) == labels
    return 100 * correct.sum().item() / len(labels)


def main(argv: list[str] | None = None) -> None:
    """Load the data, train, save the weights, print the test accuracy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=Path(__file__).resolve().parent / "data",
        help="the folder that contains MNIST/raw",
    )

    parser.add_argument("--epochs", type=int, default=5, help="passes over the images")
    parser.add_argument("--batch-size", type=int, default=100, help="images per step")
    parser.add_argument("--lr", type=float, default=0.01, help="peak learning rate")
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the random numbers"
    )

    parser.add_argument("--device", help="cpu, cuda, ...; default: cuda if it works")
    parser.add_argument(
        "--output", type=Path, default=WEIGHTS_FILE, help="file for the weights"
    )
    args = parser.parse_args(argv)

    if (
        min(args.epochs, args.batch_size) < 1
        or not 0 < args.lr < math.inf
        or abs(args.seed) >= 2**63
    ):
        parser.error(
            "--epochs, --batch-size and --lr must be above 0, --lr finite, "
            "and --seed of at most 63 bits"
        )

    try:
        is_other = args.output.exists() and not args.output.is_file()
        folder = args.output.parent
        if is_other or not folder.is_dir() or not os.access(folder, os.W_OK):
            raise ValueError(f"{args.output}: choose a file in a writable folder")

        device = choose_device(args.device)
        train_set, test_set = load_mnist(args.data_dir, device)
    except (OSError, ValueError) as error:
        sys.exit(f"train.py: {error}")

    torch.manual_seed(args.seed)  # of the weights, the order and the distortions
    torch.backends.cudnn.deterministic = True  # the same seed, the same weights
    try:
        model, accuracy = train(
            train_set, test_set, args.epochs, args.batch_size, args.lr
        )
    except KeyboardInterrupt:
        sys.exit("train.py: stopped, no weights were saved")

    try:
        torch.save(model.cpu().state_dict(), f"{args.output}.part")
        os.replace(f"{args.output}.part", args.output)  # only now are old weights lost
    except (OSError, RuntimeError) as error:
        sys.exit(f"train.py: cannot save {args.output} ({error}), is the disk full?")

    print(
        f"Test Accuracy of the model on the {len(test_set[1])} test images: "
        f"{accuracy:.2f} %"
    )


if __name__ == "__main__":
    main()
