"""Measure the scripts against the plain way of doing the same, in turns, in one run.

    python tests/benchmark.py                # a quarter of an hour on two cores
    python tests/benchmark.py --seeds 5 --epochs 60 --plain-epochs    # the long run

The plain loop of most MNIST tutorials (DataLoader and ToTensor for each image, batches
of 100, float32, Adam at a constant 0.001) is written out below, for the same network.
Everything runs as a process of its own, so that memory and start-up count. Needs a
POSIX system, on which nothing else should run meanwhile.
"""

import argparse
import gzip
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean, median, stdev

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
EPOCH = re.compile(r"Epoch \[\d+/\d+\]: ([\d.]+) s, test accuracy ([\d.]+) %")


def plain_training(epochs: int, seed: int) -> None:
    """Train as most tutorials do, on ConvNet; print train.py's line for each epoch."""
    import torch
    from torch.nn import functional as F
    from torch.utils.data import DataLoader
    from torchvision.datasets import MNIST
    from torchvision.transforms import ToTensor

    import train
    from model import ConvNet, choose_device

    torch.manual_seed(seed)
    device = choose_device()
    data = MNIST(ROOT / "data", train=True, transform=ToTensor(), download=True)
    loader = DataLoader(data, batch_size=100, shuffle=True)
    test_set = train.load_mnist(ROOT / "data")[1]
    test_images, test_labels = (tensor.to(device) for tensor in test_set)
    model = ConvNet().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    for epoch in range(1, epochs + 1):
        model.train()
        start = time.perf_counter()
        for images, labels in loader:
            loss = F.cross_entropy(model(images.to(device)), labels.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        seconds = time.perf_counter() - start
        accuracy = train.percentage(train.predict(model, test_images) == test_labels)
        print(f"Epoch [{epoch}/{epochs}]: {seconds:.1f} s, test accuracy {accuracy} %")


def plain_resolve(output: Path) -> None:
    """Write the test set as PNG files, each pixel on its own."""
    from PIL import Image

    path = ROOT / "data" / "MNIST" / "raw" / "t10k-images-idx3-ubyte.gz"
    data = gzip.decompress(path.read_bytes())
    output.mkdir()
    for i in range(10_000):
        picture = Image.new("L", (28, 28))
        for y in range(28):
            for x in range(28):
                picture.putpixel((x, y), data[16 + (i * 28 + y) * 28 + x])
        picture.save(output / f"{i}.png")


def run(*command: object) -> tuple[str, float, float]:
    """Run `python command`; return its output, wall seconds and peak memory in MB."""
    start = time.perf_counter()
    arguments = [sys.executable, *map(str, command)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, cwd=ROOT) as p:
        output = p.stdout.read()
        _, status, usage = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(status)
    if p.returncode != 0:
        sys.exit(f"benchmark.py: {' '.join(arguments)} failed")
    per_mb = 1e6 if sys.platform == "darwin" else 1e3  # ru_maxrss: bytes, else kB
    return output, time.perf_counter() - start, usage.ru_maxrss / per_mb


def mean_sd(values: list[float]) -> str:
    """Format values as mean ± standard deviation."""
    sd = f" ± {stdev(values):.2f}" if len(values) > 1 else ""
    return f"{mean(values):.2f}{sd}"


def run_in_turns(
    seeds: int, epochs: list[int], plain_epochs: list[int]
) -> dict[tuple[str, int], list[tuple]]:
    """Run the plain loop and train.py with each seed and each number of epochs.

    Returns for each name and number of epochs, seed by seed: the seconds and the
    accuracies of the epochs, the seconds and the peak memory in MB of the process.
    """
    results = {("plain loop", n): [] for n in plain_epochs}
    results |= {("train.py", n): [] for n in epochs}
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder, "model.ckpt")
        script = ["train.py", "--output", weights, "--epochs"]
        commands = {"plain loop": [__file__, "--plain-training"], "train.py": script}
        for seed in range(seeds):
            for (name, n), runs in results.items():
                output, wall, memory = run(*commands[name], n, "--seed", seed)
                lines = [tuple(map(float, line)) for line in EPOCH.findall(output)]
                seconds, accuracies = zip(*lines, strict=True)
                runs.append((seconds, accuracies, wall, memory))
                result = f"{accuracies[-1]:.2f} %, {wall:.0f} s"
                print(f"  {name}, {n} epochs, seed {seed}: {result}", flush=True)
    return results


def print_training(results: dict[tuple[str, int], list[tuple]]) -> None:
    """Print the table of all runs, the ratios, and how the plain loop gets on."""
    print("\n| training | test accuracy | training | whole process | memory |")
    print("| --- | --- | --- | --- | --- |")
    for (name, n), runs in results.items():
        seconds, accuracies, walls, memories = zip(*runs, strict=True)
        accuracy = mean_sd([each[-1] for each in accuracies])
        times = f"{mean(map(sum, seconds)):.1f} s | {mean(walls):.1f} s"
        row = f"{name}, {n} epochs | {accuracy} % | {times} | {max(memories):.0f} MB"
        print(f"| {row} |")
    plain = {n: runs for (name, n), runs in results.items() if name == "plain loop"}
    for n, runs in plain.items():
        if pairs := list(zip(runs, results.get(("train.py", n), []))):
            training = median(sum(p[0]) / sum(t[0]) for p, t in pairs)
            whole = median(p[2] / t[2] for p, t in pairs)
            print(
                f"\nthe plain loop's time by train.py's, {n} epochs, median of seeds:"
            )
            print(f"  training {training:.2f}, whole process {whole:.2f}")
    if plain:
        print("\nplain loop, mean test accuracy and seconds after each epoch:")
        longest = max(plain)
        for n in range(1, longest + 1):
            accuracy = mean_sd(
                [accuracies[n - 1] for _, accuracies, *_ in plain[longest]]
            )
            seconds = mean(sum(seconds[:n]) for seconds, *_ in plain[longest])
            print(f"  {n}: {accuracy} %, {seconds:.1f} s")


def benchmark_pair(name: str, ours: list, other: list, turns: int = 7) -> None:
    """Print the seconds of two commands, run in turns, and the median of the ratios.

    The word NEW in a command stands for a folder that does not exist yet.
    """
    times = []
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(turns + 1):
            pair = []
            for which, command in enumerate((ours, other)):
                new = Path(folder, f"{turn}-{which}")
                pair.append(run(*(new if a == "NEW" else a for a in command))[1])
            times.append(pair)
    times = times[1:]  # the first turn fills the disk cache
    first, second = (median(column) for column in zip(*times, strict=True))
    ratio = median(b / a for a, b in times)
    print(f"{name}: {first:.2f} s and {second:.2f} s, ratio {ratio:.2f}", flush=True)


def describe_machine() -> str:
    """Return processor, threads and versions in one line."""
    import torch

    processor = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
        processor = found[1] if found else processor
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else processor
    return (
        f"{device}, {torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"Python {platform.python_version()}, {platform.system()}"
    )


def main(argv: list[str] | None = None) -> None:
    """Read the command line, print machine and versions, run the benchmarks."""
    parser = argparse.ArgumentParser(
        description="Measure the scripts against the plain way of doing the same.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--seeds", type=int, default=3, help="0: no training")
    parser.add_argument("--epochs", type=int, nargs="*", default=[1, 5], help="ours")
    parser.add_argument("--plain-epochs", type=int, nargs="*", default=[5, 7])
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--plain-training", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--plain-resolve", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.plain_training:
        return plain_training(args.plain_training, args.seed)
    if args.plain_resolve:
        return plain_resolve(args.plain_resolve)
    print(describe_machine(), flush=True)
    if args.seeds:
        print_training(run_in_turns(args.seeds, args.epochs, args.plain_epochs))
    plain = [__file__, "--plain-resolve", "NEW"]
    ours = ["resolve.py", "--output", "NEW"]
    benchmark_pair("resolve.py and putpixel", ours, plain)
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder, "model.ckpt")
        run("train.py", "--epochs", 1, "--output", weights)
        run("resolve.py", "--output", Path(folder, "test"))
        ours = ["demo.py", Path(folder, "test", "12.png"), "--model", weights]
        benchmark_pair("import torch and demo.py", ["-c", "import torch"], ours)


if __name__ == "__main__":
    main()
