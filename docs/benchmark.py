"""Measure what each line of train.py is worth: change it, train, compare.

    python docs/benchmark.py    # 3 seeds: an hour or less on two cores
    python docs/benchmark.py --epochs 1 --seeds 1 --only ReLU freez

Each row of the table, which README shows, is an edit of train.py or model.py, made in
a copied folder; docs/plain.py is the last row. The rows take turns, a seed at a time,
so that a machine that slows down slows all of them. Nothing else should run meanwhile.
"""

import argparse
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean, median, stdev
from typing import NamedTuple

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from model import choose_device
from train import has_fast_bfloat16

RESULT = re.compile(r"Test Accuracy of the model on the \d+ test images: ([\d.]+) %")


class Row(NamedTuple):
    """A change of train.py: its name, edits (file, old, new), options of train.py."""

    name: str
    edits: tuple[tuple[str, str, str], ...] = ()
    options: tuple[str, ...] = ()


TRAIN = "train.py"
MODEL = "model.py"
ROWS = [
    Row("`train.py` as it is"),
    Row(
        "constant rate of 0.001: `scheduler.step()` deleted, `--lr 0.025`",
        ((TRAIN, "            scheduler.step()\n", ""),),
        ("--lr", "0.025"),  # the one-cycle schedule begins at 1/25 of it
    ),
    Row("ten times the rate: `--lr 0.1`", options=("--lr", "0.1")),
    Row("no label smoothing", ((TRAIN, ", label_smoothing=0.03", ""),)),
    Row(
        "no distortions: `inputs = to_input(images[chosen])`",
        ((TRAIN, "distort(images[chosen])", "to_input(images[chosen])"),),
    ),
    Row("AdamW's own `betas`", ((TRAIN, "        betas=(0.9, 0.99),\n", ""),)),
    Row("no freezing: `if False:`", ((TRAIN, "if epoch > 1:", "if False:"),)),
    Row("no `channels_last`", ((TRAIN, ", memory_format=torch.channels_last", ""),)),
    Row(
        "no bfloat16: `use_bfloat16 = False`",
        ((TRAIN, "= has_fast_bfloat16(device)", "= False"),),
    ),
    Row("no `fused`", ((TRAIN, "fused=True", "fused=False"),)),
    Row("no ReLU: `nn.Identity()`", ((MODEL, "nn.ReLU()", "nn.Identity()"),)),
    Row(
        "no batch normalisation: `nn.Identity()`",
        (
            (MODEL, "nn.BatchNorm2d(16)", "nn.Identity()"),
            (MODEL, "nn.BatchNorm2d(32)", "nn.Identity()"),
        ),
    ),
    Row(
        "half the channels: 8 and 16",
        (
            (MODEL, "(1, 16,", "(1, 8,"),
            (MODEL, "BatchNorm2d(16)", "BatchNorm2d(8)"),
            (MODEL, "(16, 32,", "(8, 16,"),
            (MODEL, "BatchNorm2d(32)", "BatchNorm2d(16)"),
            (MODEL, "(32 * 7 * 7", "(16 * 7 * 7"),
        ),
    ),
    Row(
        "1,000 images: `images, labels = (part[:1000] for part in train_set)`",
        ((TRAIN, "= train_set\n", "= (part[:1000] for part in train_set)\n"),),
    ),
    Row(
        "Fashion-MNIST: `import FashionMNIST as MNIST`",
        ((TRAIN, "import MNIST", "import FashionMNIST as MNIST"),),
    ),
    Row("the usual loop: `docs/plain.py`"),
]
USUAL = ROWS[-1]


def copy_edited(row: Row, folder: Path) -> None:
    """Copy the scripts into a folder, with the edits of a row made.

    Raises ValueError if there is nothing to edit any more.
    """
    folder.mkdir()
    (folder / "data").symlink_to(ROOT / "data")
    (folder / "docs").mkdir()
    for name in (TRAIN, MODEL, "docs/plain.py"):
        shutil.copy(ROOT / name, folder / name)

    for name, old, new in row.edits:
        text = (folder / name).read_text(encoding="utf-8")
        if old not in text:
            raise ValueError(f"{row.name}: there is no {old!r} in {name} any more")
        (folder / name).write_text(text.replace(old, new), encoding="utf-8")


def run(row: Row, folder: Path, epochs: int, seed: int) -> tuple[float, float]:
    """Train in the folder of a row; return the accuracy and the process's seconds."""
    script = "docs/plain.py" if row is USUAL else TRAIN
    command = [sys.executable, script, *row.options]
    command += ["--epochs", str(epochs), "--seed", str(seed)]

    start = time.perf_counter()
    result = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, cwd=folder
    )
    seconds = time.perf_counter() - start
    return float(RESULT.search(result.stdout)[1]), seconds


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


def print_table(results: dict[Row, list[tuple[float, float]]]) -> None:
    """Print mean and standard deviation of the accuracies, and the median times.

    A difference to the first row that is smaller than a standard deviation, the larger
    of the two rows', is none.
    """
    print("| | test accuracy | difference | time |")
    print("| --- | --- | --- | --- |")

    first_mean = first_sd = None
    for row, runs in results.items():
        accuracies, times = zip(*runs)
        average = mean(accuracies)
        sd = stdev(accuracies) if len(runs) > 1 else 0

        if first_mean is None:
            first_mean, first_sd = average, sd
            difference = ""
        elif abs(average - first_mean) > max(sd, first_sd):
            difference = f"{average - first_mean:+.2f}"
        else:
            difference = "none"

        accuracy = f"{average:.2f} ± {sd:.2f}%"
        print(f"| {row.name} | {accuracy} | {difference} | {median(times):.0f} s |")


def main(argv: list[str] | None = None) -> None:
    """Make all edits, then train in all folders in turns, and print the table."""
    parser = argparse.ArgumentParser(description="What is each line of train.py worth?")
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--only", nargs="+", default=[""], help="words of the rows")
    args = parser.parse_args(argv)

    print(describe_machine(), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        folders = {row: Path(folder) / str(i) for i, row in enumerate(ROWS)}
        for row, path in folders.items():
            copy_edited(row, path)

        chosen = [row for row in ROWS if any(word in row.name for word in args.only)]
        results = {row: [] for row in chosen}
        for seed in range(args.seeds):
            for row, runs in results.items():
                runs.append(run(row, folders[row], args.epochs, seed))
                print(f"seed {seed}, {row.name}: {runs[-1]}", file=sys.stderr)

    print_table(results)


if __name__ == "__main__":
    main()
