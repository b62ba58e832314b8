"""Climb from the loop of most tutorials to train.py, one change at a time.

    python docs/benchmark.py    # 5 seeds: an hour or two on two cores
    python docs/benchmark.py --epochs 1 --seeds 2 --rungs plain freeze

Prints the table of the README: each rung keeps the changes of the rungs before it. Each
run is a process of its own. The rungs take turns, a seed at a time, so that a machine
that slows down slows all of them. Nothing else should run meanwhile.
"""

import argparse
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import mean, median, stdev

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader
from torchvision.datasets import MNIST
from torchvision.transforms import ToTensor

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from model import ConvNet, choose_device, to_input
from train import distort, evaluate, has_fast_bfloat16, load_mnist

RUNGS = {
    "plain": "the plain loop: `DataLoader`, Adam at 0.001",
    "tensor": "the whole set as one tensor",
    "adamw": "AdamW with `betas=(0.9, 0.99)`",
    "schedule": "one-cycle schedule to 0.01",
    "smoothing": "label smoothing",
    "distort": "distorted images",
    "channels": "`channels_last`: pixels in another order in memory",
    "bfloat16": "bfloat16: numbers of 16 bits",
    "freeze": "first layer frozen after the first epoch: `train.py`",
}
EPOCH = re.compile(r"Epoch \[\d+/\d+\]: ([\d.]+) s, test accuracy ([\d.]+) %")


def plain_batches(device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the batches of an epoch as most tutorials do, one image at a time."""
    data = MNIST(ROOT / "data", train=True, transform=ToTensor())
    for images, labels in DataLoader(data, batch_size=100, shuffle=True):
        yield images.to(device), labels.to(device)


def tensor_batches(
    images: Tensor, labels: Tensor, distorted: bool
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the batches of an epoch as train.py does, cut out of two tensors."""
    order = torch.randperm(len(images)).to(images.device)
    for batch in order.split(100):
        chosen = images[batch]
        yield distort(chosen) if distorted else to_input(chosen), labels[batch]


def climb(rung: str, epochs: int, seed: int) -> None:
    """Train with the changes up to `rung`; print train.py's line for each epoch."""
    names = list(RUNGS)
    changes = names[: names.index(rung) + 1]

    torch.manual_seed(seed)
    torch.backends.cudnn.deterministic = True
    device = choose_device()
    train_set, test_set = load_mnist(ROOT / "data", device)

    model = ConvNet().to(device)
    if "channels" in changes:
        model = model.to(memory_format=torch.channels_last)

    if "adamw" in changes:
        optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.99), fused=True)
    else:
        optimizer = torch.optim.Adam(model.parameters(), lr=0.001)

    if "schedule" in changes:
        scheduler = lr_scheduler.OneCycleLR(
            optimizer, 0.01, 600 * epochs, pct_start=0.15, cycle_momentum=False
        )
    else:
        scheduler = lr_scheduler.ConstantLR(optimizer, factor=1)

    smoothing = 0.03 if "smoothing" in changes else 0
    use_bfloat16 = "bfloat16" in changes and has_fast_bfloat16(device)

    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        model.train()

        if "tensor" in changes:
            batches = tensor_batches(*train_set, distorted="distort" in changes)
        else:
            batches = plain_batches(device)

        for images, labels in batches:
            with torch.autocast(device.type, torch.bfloat16, enabled=use_bfloat16):
                loss = F.cross_entropy(model(images), labels, label_smoothing=smoothing)

            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()

        loss.item()  # waits for the GPU
        seconds = time.perf_counter() - start
        accuracy = evaluate(model, *test_set)
        name = f"Epoch [{epoch}/{epochs}]"
        print(f"{name}: {seconds:.2f} s, test accuracy {accuracy:.2f} %", flush=True)


def run(rung: str, epochs: int, seed: int) -> tuple[float, float, float]:
    """Return the seconds of training and of the process, and the last accuracy."""
    command = [sys.executable, __file__, "--climb", rung]
    with tempfile.TemporaryDirectory() as folder:
        if rung == "freeze":
            command = [sys.executable, "train.py", "--output", f"{folder}/model.ckpt"]
        command += ["--epochs", str(epochs), "--seed", str(seed)]

        start = time.perf_counter()
        result = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        process = time.perf_counter() - start

    seconds, accuracies = zip(*EPOCH.findall(result.stdout), strict=True)
    return sum(map(float, seconds)), process, float(accuracies[-1])


def describe_machine() -> str:
    """Return what a figure depends on, in one line."""
    name = platform.processor() or platform.machine()
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
    elif Path("/proc/cpuinfo").exists():
        name = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())[1]

    bfloat16 = "with" if has_fast_bfloat16(choose_device()) else "without"
    threads = f"{torch.get_num_threads()} threads"
    return f"{name}, {bfloat16} bfloat16, {threads}, torch {torch.__version__}"


def main(argv: list[str] | None = None) -> None:
    """Run all rungs in turns, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rungs", nargs="+", choices=RUNGS, default=list(RUNGS))
    parser.add_argument("--climb", choices=RUNGS, help=argparse.SUPPRESS)  # for run()
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)

    if args.climb:
        return climb(args.climb, args.epochs, args.seed)

    if not has_fast_bfloat16(choose_device()) and "bfloat16" in args.rungs:
        args.rungs.remove("bfloat16")  # it would change nothing

    print(describe_machine(), flush=True)
    results = {rung: [] for rung in args.rungs}
    for seed in range(args.seeds):
        for rung, runs in results.items():
            runs.append(run(rung, args.epochs, seed))
            print(f"seed {seed}, {rung}: {runs[-1]}", file=sys.stderr, flush=True)

    print("| | test accuracy | an epoch | the whole process |")
    print("| --- | --- | --- | --- |")
    for rung, runs in results.items():
        training, process, accuracies = zip(*runs)
        sd = f" ± {stdev(accuracies):.2f}" if len(runs) > 1 else ""
        seconds = f"{median(training) / args.epochs:.1f} s | {median(process):.0f} s"
        print(f"| {RUNGS[rung]} | {mean(accuracies):.2f}{sd}% | {seconds} |")


if __name__ == "__main__":
    main()
