"""Measure how well demo.py reads pictures: your own, or some that are drawn here.

    python docs/photos.py           # draws 50 pictures of each kind
    python docs/photos.py FOLDER    # reads your own, all that are in FOLDER

The digit that a picture of yours shows is the name of its folder, 7/IMG_2041.jpg, or
stands after the last _ of its own name, a_7.jpg. All other files are skipped.

Prints, for each kind or folder, how many answers are right and with how many demo.py
has doubts (a refusal counts as one), then the wrong answers. A picture of several
digits is right if there is a doubt. With several --model, all shares are means.
"""

import argparse
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from drawing import KINDS, draw_number, draw_picture

from demo import load_model, open_picture, read_digit, to_grey
from model import WEIGHTS_FILE, ConvNet
from prepare import NoInk
from train import load_mnist

LENGTHS = [2, 3, 4, 5, 6, 8]  # of the numbers that are drawn
Picture = tuple[str, str, str, Tensor]  # kind, name, digits, (H, W) in [0, 1]


def read_pictures(folder: Path) -> Iterator[Picture]:
    """Read the pictures below a folder that say which digit they show."""
    for path in sorted(folder.rglob("*")):
        label = re.search(r"/([0-9])/[^/]+$|_([0-9])\.\w+$", path.as_posix())
        if not label:
            continue
        try:
            grey = to_grey(open_picture(path))
        except OSError as error:  # no picture, or a broken one
            print(f"{path}: {error}", file=sys.stderr)
            continue
        kind = str(path.parent.relative_to(folder.parent))
        yield kind, path.name, label[1] or label[2], grey


def draw_pictures(count: int, seed: int) -> Iterator[Picture]:
    """Draw `count` pictures of each kind from MNIST's test images."""
    images, labels = (part.numpy() for part in load_mnist(train=False))
    for kind in KINDS:
        rng = np.random.default_rng([seed, *kind.encode()])  # no kind depends on others
        for i in rng.integers(len(images), size=count):
            grey = to_grey(Image.fromarray(draw_picture(images[i], kind, rng)))
            yield kind, f"test image {i}", str(labels[i]), grey

    for length in LENGTHS:
        rng = np.random.default_rng([seed, length])
        for _ in range(count):
            chosen = rng.integers(len(images), size=length)
            grey = to_grey(Image.fromarray(draw_number(images[chosen], rng)))
            yield f"{length} digits", "number", "".join(map(str, labels[chosen])), grey


def read(model: ConvNet, grey: Tensor) -> tuple[str, bool]:
    """Return demo.py's answer, "nothing" if it refuses, and whether it has doubts."""
    try:
        _, probabilities, doubts = read_digit(model, grey)
    except NoInk:
        return "nothing", True
    return str(probabilities.argmax().item()), bool(doubts)


def print_table(facts: dict[str, list[tuple[bool, ...]]], models: int) -> None:
    """Print a Markdown table with a row for each kind of picture, and the total."""
    print("| kind | right | with a doubt | wrong, no doubt | refused | pictures |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    total = [row for rows in facts.values() for row in rows]
    for kind, rows in {**facts, "total": total}.items():
        shares = " | ".join(f"{share:.1%}" for share in np.mean(rows, axis=0))
        print(f"| {kind} | {shares} | {len(rows) // models} |")


def main(argv: list[str] | None = None) -> None:
    """Read or draw the pictures, ask the networks, print how many are right."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--model", nargs="+", type=Path, default=[WEIGHTS_FILE])
    parser.add_argument("--count", type=int, default=50, help="drawn ones of each kind")
    parser.add_argument("--seed", type=int, default=0, help="of the drawn ones")
    args = parser.parse_args(argv)

    models = [load_model(path) for path in args.model]
    if args.folder:
        pictures = read_pictures(args.folder.resolve())
    else:
        pictures = draw_pictures(args.count, args.seed)

    facts = defaultdict(list)  # for each kind, the columns of the table
    wrong = []
    for kind, name, digits, grey in pictures:
        for model in models:
            answer, has_doubt = read(model, grey)
            is_right = has_doubt if len(digits) > 1 else answer == digits
            is_missed = not is_right and not has_doubt
            facts[kind].append((is_right, has_doubt, is_missed, answer == "nothing"))
            if not is_right:
                doubt = ", with a doubt" if has_doubt else ""
                wrong.append(f"{kind}, {name}: {digits}, read as {answer}{doubt}")

    if not facts:
        sys.exit(f"photos.py: no pictures like 7/a.jpg or a_7.jpg in {args.folder}")
    print_table(facts, len(models))
    print("\nWrong:", *wrong, sep="\n")


if __name__ == "__main__":
    main()
