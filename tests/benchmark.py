"""Climb from the loop of most tutorials to train.py, one change at a time.

    python tests/benchmark.py              # 5 seeds: 45 minutes on two cores
    python tests/benchmark.py --epochs 1 --rungs 0 7

Prints a table: each rung has everything that the rungs above it have. Each run is a
process of its own; the seeds are the outer loop, so that all rungs run in turns and a
machine that slows down slows all of them. Let nothing else run meanwhile.
"""

import argparse
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean, median, stdev

import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision.datasets import MNIST
from torchvision.transforms import ToTensor

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from model import ConvNet, choose_device, to_input
from train import distort, evaluate, load_mnist

RUNGS = (
    "the plain loop: `DataLoader`, Adam at 0.001",
    "the whole set as one tensor",
    "AdamW, one-cycle schedule to 0.01",
    "label smoothing",
    "distorted images",
    "`channels_last`: pixels in another order in memory",
    "bfloat16: numbers of 16 bits, where the CPU has them",
    "first layer frozen after a fifth of the steps: `train.py`",
)
EPOCH = re.compile(r"Epoch \[\d+/\d+\]: ([\d.]+) s, test accuracy ([\d.]+) %")


def climb(rung: int, epochs: int, seed: int) -> None:
    """Train with the changes up to `rung`; print train.py's line for each epoch."""
    torch.manual_seed(seed)
    device = choose_device()
    (images, labels), test_set = load_mnist(ROOT / "data", device)
    data = MNIST(ROOT / "data", train=True, transform=ToTensor())
    loader = DataLoader(data, batch_size=100, shuffle=True)
    layout = torch.channels_last if rung >= 5 else torch.contiguous_format
    model = ConvNet().to(device, memory_format=layout)
    if rung >= 2:
        optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.99), fused=True)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, 0.01, 600 * epochs, pct_start=0.15, cycle_momentum=False
        )
    else:
        optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
        scheduler = torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1)
    smoothing = 0.03 if rung >= 3 else 0
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    use_bfloat16 = rung >= 6 and device.type == "cpu"
    use_bfloat16 = use_bfloat16 and capabilities.get("avx512_bf16", False)

    def batches():
        if rung == 0:
            yield from ((x.to(device), y.to(device)) for x, y in loader)
            return
        inputs = distort(images) if rung >= 4 else None
        for batch in torch.randperm(60_000).to(device).split(100):
            x = to_input(images[batch]) if inputs is None else inputs[batch]
            yield x, labels[batch]

    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        model.train()
        for x, y in batches():
            with torch.autocast(device.type, torch.bfloat16, use_bfloat16):
                loss = F.cross_entropy(model(x), y, label_smoothing=smoothing)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
        loss.item()  # waits for the GPU
        seconds, accuracy = time.perf_counter() - start, evaluate(model, *test_set)
        name = f"Epoch [{epoch}/{epochs}]"
        print(f"{name}: {seconds:.2f} s, test accuracy {accuracy:.2f} %", flush=True)


def run(rung: int, epochs: int, seed: int) -> tuple[float, float, float]:
    """Return the seconds of training and of the process, and the last accuracy."""
    with tempfile.TemporaryDirectory() as folder:
        command = [__file__, "--climb", rung, "--epochs", epochs, "--seed", seed]
        if rung == len(RUNGS) - 1:
            output = Path(folder, "model.ckpt")
            command = ["train.py", "--output", output, *command[3:]]
        command = [sys.executable, *map(str, command)]
        start = time.perf_counter()
        printed = subprocess.run(command, check=True, stdout=-1, text=True, cwd=ROOT)
        process = time.perf_counter() - start
    seconds, accuracies = zip(*EPOCH.findall(printed.stdout), strict=True)
    return sum(map(float, seconds)), process, float(accuracies[-1])


def describe_machine() -> str:
    """Return what a figure depends on, in one line."""
    name = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        text = Path("/proc/cpuinfo").read_text()
        found = re.search(r"model name\s*: (.*)", text)
        name = f"{found[1] if found else name}, avx512_bf16: {'avx512_bf16' in text}"
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
    return f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def main(argv: list[str] | None = None) -> None:
    """Run all rungs in turns, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rungs", type=int, nargs="+", default=range(len(RUNGS)))
    parser.add_argument("--climb", type=int, help=argparse.SUPPRESS)  # for run()
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.climb is not None:
        return climb(args.climb, args.epochs, args.seed)
    print(describe_machine(), flush=True)
    results = {rung: [] for rung in args.rungs}
    for seed in range(args.seeds):
        for rung, runs in results.items():
            runs.append(run(rung, args.epochs, seed))
            print(f"seed {seed}, rung {rung}: {runs[-1]}", file=sys.stderr, flush=True)
    print("| | test accuracy | an epoch | the whole process |")
    print("| --- | --- | --- | --- |")
    for rung, runs in results.items():
        training, process, accuracies = zip(*runs)
        sd = f" ± {stdev(accuracies):.2f}" if len(runs) > 1 else ""
        seconds = f"{median(training) / args.epochs:.1f} s | {median(process):.0f} s"
        print(f"| {RUNGS[rung]} | {mean(accuracies):.2f}{sd} % | {seconds} |")


if __name__ == "__main__":
    main()
