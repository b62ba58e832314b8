"""Measure what each line of train.py is worth: change it, train, compare.

    python docs/benchmark.py              # the table of README: 5 seeds, an hour
    python docs/benchmark.py --exercises  # the answers to its exercises
    python docs/benchmark.py --alone      # train.py and the usual loop, on the test set

Each row is an edit of train.py or model.py, made in a copied folder. Settings that are
compared on the test set end up fitted to it, so the last 5,000 training images are held
out and tested instead, except with --alone.

Every row is trained with the same seeds, and so is compared with the first row seed by
seed: the mean difference ± its standard error, or "none" below two of them. The time is
the processor's time with one thread, which other work hardly disturbs; with --alone, it
is the time that passes with all threads, so nothing else should run.
"""

import argparse
import math
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean, median, stdev
from typing import NamedTuple

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from model import choose_device
from train import has_fast_bfloat16

RESULT = re.compile(r"Test Accuracy of the model on the \d+ test images: ([\d.]+) %")
TRAIN = "train.py"
MODEL = "model.py"
PLAIN = "docs/plain.py"
Edit = tuple[str, str, str]  # file, old text, new text


class Row(NamedTuple):
    """A change of train.py: its name, its edits, its options."""

    name: str
    edits: tuple[Edit, ...] = ()
    options: tuple[str, ...] = ()


FIRST = Row("`train.py` as it is")
USUAL = Row("the usual loop: `docs/plain.py`")
ROWS = [
    FIRST,
    Row("no flags", ((TRAIN, "    images = add_flags(images, labels)\n", ""),)),
    Row(
        "no distortions: `inputs = to_input(images[chosen])`",
        ((TRAIN, "distort(images[chosen])", "to_input(images[chosen])"),),
    ),
    Row(
        "constant rate: no `scheduler.step()`, `--lr 0.025` "
        "(the schedule starts at 1/25 of it)",
        ((TRAIN, "            scheduler.step()\n", ""),),
        ("--lr", "0.025"),
    ),
    Row("no label smoothing", ((TRAIN, ", label_smoothing=0.03", ""),)),
    Row("no freezing: `if False:`", ((TRAIN, "if epoch > 1:", "if False:"),)),
    Row("no `channels_last`", ((TRAIN, ", memory_format=torch.channels_last", ""),)),
    Row(
        "no bfloat16: `use_bfloat16 = False`",
        ((TRAIN, "= has_fast_bfloat16(inputs.device)", "= False"),),
    ),
    USUAL,
]
EXERCISES = [
    FIRST,
    Row(
        "one linear layer",
        (
            (MODEL, "self.layer1(images)", "images"),
            (MODEL, "self.layer2(features)", "features"),
            (MODEL, "nn.Linear(32 * 7 * 7", "nn.Linear(784"),
        ),
    ),
    Row("no ReLU", ((MODEL, "nn.ReLU()", "nn.Identity()"),)),
    Row(
        "no batch normalisation",
        (
            (MODEL, "nn.BatchNorm2d(16)", "nn.Identity()"),
            (MODEL, "nn.BatchNorm2d(32)", "nn.Identity()"),
        ),
    ),
    Row(
        "half the channels",
        (
            (MODEL, "(1, 16,", "(1, 8,"),
            (MODEL, "BatchNorm2d(16)", "BatchNorm2d(8)"),
            (MODEL, "(16, 32,", "(8, 16,"),
            (MODEL, "BatchNorm2d(32)", "BatchNorm2d(16)"),
            (MODEL, "(32 * 7 * 7", "(16 * 7 * 7"),
        ),
    ),
    Row("ten times the rate: `--lr 0.1`", options=("--lr", "0.1")),
    Row(
        "1,000 images",
        (
            (
                TRAIN,
                "part.to(device) for part in train",
                "part[:1000].to(device) for part in train",
            ),
        ),
    ),
]

HOLD_OUT = (
    (
        TRAIN,
        "images, labels = load_mnist(train=True)\n",
        (
            "images, labels = load_mnist(train=True)\n"
            "    test_set = images[-5000:], labels[-5000:]\n"
            "    images, labels = images[:-5000], labels[:-5000]\n"
        ),
    ),
    (TRAIN, "    test_set = load_mnist(train=False)\n", ""),
    (
        PLAIN,
        (
            'test_set = MNIST(ROOT / "data", train=False, transform=ToTensor(), '
            "download=True)\n"
        ),
        (
            "test_set = torch.utils.data.Subset(train_set, range(55_000, 60_000))\n"
            "train_set = torch.utils.data.Subset(train_set, range(55_000))\n"
        ),
    ),
)


def copy_edited(edits: tuple[Edit, ...], folder: Path) -> None:
    """Copy the scripts into a folder, with these edits made.

    Raises ValueError if the text to replace is not there.
    """
    folder.mkdir()
    (folder / "data").symlink_to(ROOT / "data")
    (folder / "docs").mkdir()
    for name in (TRAIN, MODEL, PLAIN):
        shutil.copy(ROOT / name, folder / name)

    for name, old, new in edits:
        text = (folder / name).read_text(encoding="utf-8")
        if old not in text:
            raise ValueError(f"there is no {old!r} in {name} any more")
        (folder / name).write_text(text.replace(old, new), encoding="utf-8")


def run(row: Row, folder: Path, epochs: int, seed: int, alone: bool) -> list[float]:
    """Train in the folder of a row; return the accuracy and the seconds it took."""
    script = PLAIN if row is USUAL else TRAIN
    command = [sys.executable, script, *row.options]
    command += ["--epochs", str(epochs), "--seed", str(seed)]
    environment = os.environ if alone else os.environ | {"OMP_NUM_THREADS": "1"}

    before = os.times()
    result = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, check=True
    )
    after = os.times()
    passed = after.elapsed - before.elapsed
    computed = after.children_user - before.children_user
    computed += after.children_system - before.children_system
    accuracy = float(RESULT.search(result.stdout.decode())[1])
    return [accuracy, passed if alone else computed]


def describe_machine() -> str:
    """Return what a figure depends on, in one line."""
    name = platform.processor() or platform.machine()
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
    elif Path("/proc/cpuinfo").exists():
        names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
        name = names[0] if names else name

    bfloat16 = "with" if has_fast_bfloat16(choose_device()) else "without"
    return f"{name}, {bfloat16} bfloat16, torch {torch.__version__}"


def difference(ours: list[float], first: list[float]) -> str:
    """Return the mean of the paired differences ± its standard error."""
    differences = [one - other for one, other in zip(ours, first)]
    if len(differences) < 2 or ours == first:
        return ""
    error = stdev(differences) / math.sqrt(len(differences))
    if abs(mean(differences)) < 2 * error:
        return "none"
    return f"{mean(differences):+.2f} ± {error:.2f}"


def print_table(results: dict[Row, list[list[float]]], tested: str) -> None:
    """Print mean accuracies, differences to the first row, and median times."""
    print(f"| | {tested} accuracy | difference | time |")
    print("| --- | --- | --- | --- |")
    first = [accuracy for accuracy, _ in results[FIRST]]
    for row, runs in results.items():
        ours, times = map(list, zip(*runs))
        cells = [row.name, f"{mean(ours):.2f}%", difference(ours, first)]
        print("|", *(f"{cell} |" for cell in cells), f"{median(times):.0f} s |")


def main(argv: list[str] | None = None) -> None:
    """Make the edits, train in all folders, interleaved, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--exercises", action="store_true", help="of README")
    parser.add_argument("--alone", action="store_true", help="the first and last row")
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--epochs", type=int, default=5)
    args = parser.parse_args(argv)

    rows = EXERCISES if args.exercises else ROWS
    if args.alone:
        rows = [FIRST, USUAL]
    held_out = () if args.alone else HOLD_OUT

    print(describe_machine(), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        folders = {row: Path(folder) / str(i) for i, row in enumerate(rows)}
        for row, path in folders.items():
            copy_edited(held_out + row.edits, path)

        results = {row: [] for row in rows}
        for seed in range(args.seeds):
            for row, runs in results.items():
                runs.append(run(row, folders[row], args.epochs, seed, args.alone))
                print(f"seed {seed}, {row.name}: {runs[-1]}", file=sys.stderr)

    print_table(results, "test" if args.alone else "validation")


if __name__ == "__main__":
    main()
