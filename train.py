"""Train the network of model.py on MNIST, test it and save its weights.

    python train.py

Prints the loss every 100 steps and the test accuracy after every epoch, and writes
model.ckpt, the weights that demo.py reads. A run ends like this, after less than a
minute on two cores of an AMD EPYC with bfloat16:

    Epoch [5/5], Step [600/600], Loss: 0.2178
    Epoch [5/5]: 6.0 s, test accuracy 99.50 %
    Saved the weights to model.ckpt
    Test Accuracy of the model on the 10000 test images: 99.50 %
"""

import argparse
import math
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.datasets import MNIST

from model import WEIGHTS_FILE, ConvNet, choose_device

DATA = Path(__file__).resolve().parent / "data"
LabelledImages = tuple[Tensor, Tensor]


def load_mnist(train: bool) -> LabelledImages:
    """Return the training set or the test set, whole, as two tensors.

    Images (N, 28, 28) uint8, labels (N,) int64. Unpacks the files in data/MNIST/raw, or
    downloads those that are not there.
    """
    data = MNIST(DATA, train=train, download=True)
    return data.data, data.targets


def add_flags(images: Tensor, labels: Tensor) -> Tensor:
    """Draw a flag on every second 1: the upstroke with which many people begin it.

    MNIST was written by Americans, whose 1 is a single stroke. A network that has seen
    no other often takes a flagged 1 for a 7. (N, 28, 28) uint8, in and out.
    """
    chosen = (labels == 1).nonzero()[::2, 0]
    ones = images[chosen].float()
    y, x = torch.meshgrid(torch.arange(28.0), torch.arange(28.0), indexing="ij")

    # MNIST's 1s are centred and nearly all 20 pixels tall: row 5 crosses their tip.
    tip = (ones[:, 5] * x[0]).sum(1) / ones[:, 5].sum(1).clamp(min=1)
    left = tip.view(-1, 1, 1) - x  # how far each pixel is to the left of the tip

    size = len(ones), 1, 1
    slope = torch.empty(size).uniform_(0.5, 1.5)  # rows down per column to the left
    length = torch.empty(size).uniform_(3, 9)  # columns
    reach = torch.empty(size).uniform_(1.2, 2.2)  # pixels to each side, as wide as ink
    distance = (y - 5 - slope * left).abs() / (1 + slope**2).sqrt()  # from the line
    flag = (reach - distance).clamp(0, 1) * (left > 0) * (left < length)

    # The flag moves the centre of mass up by about a pixel: move it back.
    flagged = images.clone()
    flagged[chosen] = ones.maximum(255 * flag).byte().roll(1, dims=1)
    return flagged


def to_input(pixels: Tensor) -> Tensor:
    """Turn (N, 28, 28) uint8 grey levels into (N, 1, 28, 28) float32 in [0, 1]."""
    return pixels.unsqueeze(1).float() / 255  # unsqueeze adds the one channel


def distort(images: Tensor) -> Tensor:
    """Turn, stretch, slant and shift each image a little, at random.

    Takes (N, 28, 28) uint8 and returns (N, 1, 28, 28) float32 in [0, 1]. It does not
    help on MNIST's own images, which are much alike. It helps on other people's
    pictures, which are turned and slanted in more ways.
    """
    inputs = to_input(images)

    # A matrix for each image says where its pixels come from: the pixel at (x, y) is
    # taken from the place `matrix @ (x, y, 1)`, with x and y from -1 to 1.
    #
    #     1  0  0     changes       1  -.1  0    turns by      1  0  .1    shifts by
    #     0  1  0     nothing       .1   1  0    6 degrees     0  1   0    1.4 pixels
    #
    # Added to the first of these, random numbers do a little of everything.
    # The CPU draws the numbers, so that a seed means the same on every device.
    noise = torch.empty(len(images), 2, 3).uniform_(-0.1, 0.1)
    matrices = (torch.eye(2, 3) + noise).to(images.device)

    # align_corners=False: -1 and 1 are the image's edges, not its outermost pixels.
    places = F.affine_grid(matrices, inputs.shape, align_corners=False)
    return F.grid_sample(inputs, places, align_corners=False)


def has_fast_bfloat16(device: torch.device) -> bool:
    """Return whether the device computes faster with bfloat16, 16-bit numbers.

    CPUs with AVX-512 BF16 do; others emulate it, many times slower. GPUs are not asked:
    there, in so small a network, starting an operation takes longer than computing it.
    """
    capabilities = torch.cpu.get_capabilities()
    return device.type == "cpu" and capabilities.get("avx512_bf16", False)


def compute_loss(model: ConvNet, inputs: Tensor, labels: Tensor) -> Tensor:
    """Return how wrong the network is on one batch: the cross-entropy, a scalar."""
    # Where it is faster, autocast computes with 16 bits; the weights keep 32.
    use_bfloat16 = has_fast_bfloat16(inputs.device)
    with torch.autocast(inputs.device.type, torch.bfloat16, enabled=use_bfloat16):
        logits = model(inputs)
        return F.cross_entropy(logits, labels, label_smoothing=0.03)


def train(
    train_set: LabelledImages,
    test_set: LabelledImages,
    device: torch.device | str,
    epochs: int,
    batch_size: int,
    lr: float,
) -> tuple[ConvNet, float]:
    """Return a trained network and its accuracy on the test set in percent."""
    images, labels = (part.to(device) for part in train_set)
    test_set = [part.to(device) for part in test_set]
    steps = math.ceil(len(images) / batch_size)

    # channels_last: the channels of a pixel lie side by side in memory, for speed.
    model = ConvNet().to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=lr,  # the learning rate rises to this, then falls to almost 0
        total_steps=epochs * steps,
        pct_start=0.15,  # it rises for 15% of the steps
        cycle_momentum=False,  # the optimizer's other settings stay as they are
    )

    for epoch in range(1, epochs + 1):
        title = f"Epoch [{epoch}/{epochs}]"
        start = time.perf_counter()
        model.train()

        if epoch > 1:
            # The first layer has learnt its filters. Freeze its weights, and with
            # eval() its averages: a step then takes a quarter less time.
            model.layer1.requires_grad_(False).eval()

        order = torch.randperm(len(images)).to(device)
        for step, chosen in enumerate(order.split(batch_size), start=1):
            inputs = distort(images[chosen])
            loss = compute_loss(model, inputs, labels[chosen])

            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()

            if step % 100 == 0:
                print(f"{title}, Step [{step}/{steps}], Loss: {loss:.4f}", flush=True)

        seconds = time.perf_counter() - start
        accuracy = evaluate(model, *test_set)
        print(f"{title}: {seconds:.1f} s, test accuracy {accuracy:.2f} %", flush=True)

    return model, accuracy


@torch.inference_mode()  # no autograd bookkeeping
def evaluate(model: ConvNet, images: Tensor, labels: Tensor) -> float:
    """Return the percentage of images (N, 28, 28) uint8 classified correctly."""
    model.eval()
    logits = torch.cat([model(to_input(batch)) for batch in images.split(1000)])
    correct = logits.argmax(1) == labels
    return 100 * correct.sum().item() / len(labels)


def main(argv: list[str] | None = None) -> None:
    """Load the data, train, save the weights, print the test accuracy."""
    parser = argparse.ArgumentParser(
        description="Train on MNIST.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--epochs", type=int, default=5, help="passes over the images")
    parser.add_argument("--batch-size", type=int, default=100, help="images per step")
    parser.add_argument("--lr", type=float, default=0.01, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers")
    parser.add_argument("--device", default=choose_device(), help="cpu, cuda, ...")
    parser.add_argument("--output", type=Path, default=WEIGHTS_FILE, help="weights")
    args = parser.parse_args(argv)

    if args.output.is_dir():
        parser.error(f"--output {args.output} is a folder, name a file in it")
    args.output.parent.mkdir(parents=True, exist_ok=True)

    # One seed fixes the weights, flags, order and distortions. On the same device, with
    # the same number of threads, the same seed gives the same weights.
    torch.manual_seed(args.seed)
    torch.backends.cudnn.deterministic = True

    images, labels = load_mnist(train=True)
    images = add_flags(images, labels)
    train_set = images, labels
    test_set = load_mnist(train=False)

    model, accuracy = train(
        train_set, test_set, args.device, args.epochs, args.batch_size, args.lr
    )
    model.to("cpu", memory_format=torch.contiguous_format)  # the usual layout
    torch.save(model.state_dict(), args.output)

    print(f"Saved the weights to {args.output}")
    count = len(test_set[0])
    print(f"Test Accuracy of the model on the {count} test images: {accuracy:.2f} %")


if __name__ == "__main__":
    main()
