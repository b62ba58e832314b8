"""Measure how well demo.py reads pictures: your own, or some that are drawn here.

    python docs/photos.py                  # draws 50 of each kind
    python docs/photos.py FOLDER           # pictures named after their digit, a_7.jpg
    python docs/photos.py FOLDER --ladder  # what each step of prepare.py brings

Prints how many are right of each kind (for FOLDER, of each folder in it), and which are
wrong. A picture of several digits, a_42.jpg, is right if demo.py warns of it or is
unsure. The drawn pictures are MNIST's own test digits on paper: no real photographs.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np
import torch
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter, ImageOps

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import prepare
from demo import UNSURE, classify, load_model, read_grey
from model import WEIGHTS_FILE, ConvNet
from train import load_mnist

PAPER = ["plain", "shadow", "ruled", "ball pen", "pencil", "blurred", "dark and noisy"]
PLACES = ["sheet on a desk", "scan", "white on black"]
CUT = ["cut out at its box", "cut out and enlarged", "cut out and stretched"]
SIZE = 400  # of the drawn pictures, in pixels
Picture = tuple[str, str, np.ndarray, str]  # kind, name, grey levels, digit or digits

STEPS = {  # what prepare.py does, each with what would be done without it
    "find_ink": lambda small: small.max() - small,
    "centre": lambda digit: np.asarray(
        Image.fromarray(np.uint8(255 * digit / digit.max())).resize((28, 28))
    ),
    "otsu_threshold": lambda ink: 1,
    "connected_components": lambda mask: np.int32(mask),
    "without_lines": lambda ink: ink,
    "inside_sheet": lambda grey: grey,
    "look_closer": lambda page, digit: digit,
    "widen_strokes": lambda digit: digit,
}


def blur(values: np.ndarray, radius: float) -> np.ndarray:
    """Blur (H, W) values in [0, 1]."""
    image = Image.fromarray(np.uint8(255 * values))
    return np.float32(image.filter(ImageFilter.GaussianBlur(radius))) / 255


def draw_ink(digit: np.ndarray, height: int, rng: Generator, pen: bool) -> np.ndarray:
    """Draw a digit (28, 28) uint8 `height` pixels tall with sharp edges, in [0, 1]."""
    image = Image.fromarray(digit).resize((height, height), Image.Resampling.BICUBIC)
    image = image.rotate(rng.uniform(-6, 6), Image.Resampling.BICUBIC)

    edges = blur(np.float32(image) / 255, height / 60)
    ink = ((edges - 0.47) * height / 15 + 0.5).clip(0, 1)

    if pen:  # erosion makes the strokes thinner
        thin = Image.fromarray(np.uint8(255 * ink))
        for _ in range(max(1, round(height * 0.01))):
            thin = thin.filter(ImageFilter.MinFilter(3))
        ink = np.float32(thin) / 255

    return prepare.crop(ink, ink > 0.5)


def draw_shadow(rng: Generator) -> np.ndarray:
    """Return the light (SIZE, SIZE) beside the soft shadow of a hand or a phone."""
    image = Image.new("L", (SIZE, SIZE))
    corners = rng.uniform(0, SIZE, (3, 2))
    ImageDraw.Draw(image).polygon([*map(tuple, corners)], 255)

    shadow = blur(np.float32(image) / 255, SIZE * rng.uniform(0.01, 0.04))
    return 1 - rng.uniform(0.2, 0.45) * shadow


def draw_page(digit: np.ndarray, kind: str, rng: Generator) -> np.ndarray:
    """Draw a digit (28, 28) uint8 on paper, (SIZE, SIZE) in [0, 1], evenly lit."""
    height = int(SIZE * rng.uniform(0.3, 0.8))
    if kind == "sheet on a desk":
        height = int(SIZE * rng.uniform(0.3, 0.5))
    ink = draw_ink(digit, height, rng, pen=kind in ("ball pen", "pencil", "ruled"))

    rows, columns = ink.shape
    top = int(rng.uniform(0.06 * SIZE, 0.94 * SIZE - rows))
    left = int(rng.uniform(0.06 * SIZE, 0.94 * SIZE - columns))
    if kind == "scan":
        top = (SIZE - rows) // 2
        left = (SIZE - columns) // 2

    page = np.full((SIZE, SIZE), rng.uniform(0.75, 0.95), np.float32)
    if kind == "ruled":
        spacing = int(rng.uniform(25, 70))
        first = int(rng.uniform(0, spacing))
        page[(np.arange(SIZE) + first) % spacing < 2] *= 0.8

    strength = rng.uniform(0.35, 0.55) if kind == "pencil" else rng.uniform(0.8, 0.95)
    if kind != "scan":
        ink = ink * (1 - 0.15 * blur(rng.uniform(size=ink.shape), 1))  # its grain
    page[top : top + rows, left : left + columns] *= 1 - strength * ink

    if kind == "sheet on a desk":
        margin = int(rng.uniform(15, 24))
        sheet = np.zeros_like(page)
        sheet[top - margin : top + rows + margin, left - margin :] = 1
        sheet[:, left + columns + margin :] = 0
        page = np.where(sheet > 0, page, rng.uniform(0.05, 0.3))
    return page


def photograph(page: np.ndarray, kind: str, rng: Generator) -> np.ndarray:
    """Take a photograph (SIZE, SIZE) uint8 of a page: light, blur, noise."""
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    page = page * (1 - rng.uniform(0, 0.3) * (x if rng.random() < 0.5 else y))
    if kind == "shadow":
        page = page * draw_shadow(rng)

    page = blur(page, rng.uniform(4, 8) if kind == "blurred" else rng.uniform(0.5, 1.5))
    exposure = 0.25 if kind == "dark and noisy" else 1
    noise = 0.04 if kind == "dark and noisy" else 0.01
    page = page * exposure + rng.normal(0, noise, page.shape)
    return np.uint8(255 * page.clip(0, 1))


def draw_picture(digit: np.ndarray, kind: str, rng: Generator) -> np.ndarray:
    """Draw a picture (H, W) uint8 of a digit (28, 28) uint8."""
    box = Image.fromarray(prepare.crop(digit, digit))
    if kind == "cut out at its box":  # as OpenCV's findContours would
        return np.asarray(box)
    if kind == "cut out and enlarged":
        return 255 - np.asarray(ImageOps.scale(box, 10))
    if kind == "cut out and stretched":
        return np.asarray(box.resize((28, 28), Image.Resampling.BILINEAR))

    page = draw_page(digit, kind, rng)
    if kind == "scan":
        return np.uint8(255 * page)
    if kind == "white on black":
        page = 1 - page
    return photograph(page, kind, rng)


def draw_number(digits: list[np.ndarray], rng: Generator) -> np.ndarray:
    """Draw digits (28, 28) uint8 side by side, black on white."""
    page = np.zeros((260, 0), np.uint8)
    for digit in digits:
        box = Image.fromarray(prepare.crop(digit, digit))
        ink = np.asarray(ImageOps.scale(box, rng.uniform(3.5, 4.5)))
        above = (260 - len(ink)) // 2 + rng.integers(-6, 7)
        below = 260 - len(ink) - above
        space = rng.integers(8, 40)
        page = np.hstack([page, np.pad(ink, ((above, below), (space, 0)))])
    return 255 - np.pad(page, ((0, 0), (60, 80)))


def draw_pictures(count: int, seed: int) -> Iterator[Picture]:
    """Draw `count` pictures of each kind from MNIST's test images."""
    _, (images, labels) = load_mnist(ROOT / "data", torch.device("cpu"))
    rng = np.random.default_rng(seed)

    for kind in PAPER + PLACES + CUT:
        for i in rng.integers(len(images), size=count):
            grey = draw_picture(images[i].numpy(), kind, rng)
            yield kind, f"test image {i}", grey, str(labels[i].item())

    for length in (2, 3, 4, 5, 6, 8):
        for _ in range(count):
            chosen = rng.integers(len(images), size=length)
            grey = draw_number([images[i].numpy() for i in chosen], rng)
            digits = "".join(str(labels[i].item()) for i in chosen)
            yield f"{length} digits", digits, grey, digits


def read_pictures(folder: Path) -> Iterator[Picture]:
    """Read the pictures below a folder; their names end in their digits, a_7.jpg."""
    for path in sorted(folder.rglob("*")):
        digits = path.stem.rpartition("_")[2]
        if path.is_file() and digits[:1].isdigit():
            try:
                grey = read_grey(path)
            except ValueError as error:
                print(f"{path}: {error}", file=sys.stderr)
                continue
            kind = path.relative_to(folder).parent.as_posix()
            yield kind, path.name, grey, digits


class Reading(NamedTuple):
    """How each of the networks did with a picture."""

    kind: str
    summary: str
    is_single: bool
    is_warned: bool  # that there may be several digits
    right: list[bool]
    unsure: list[bool]


def read(models: list[ConvNet], picture: Picture) -> Reading:
    """Prepare a picture and ask each of the networks."""
    kind, name, grey, digits = picture
    try:
        pixels, others = prepare.prepare(grey)
    except prepare.NoInk:
        pixels = np.zeros((28, 28), np.uint8)
        others = 1

    device = torch.device("cpu")
    chances = [classify(model, pixels, device) for model in models]
    answers = [str(chance.argmax().item()) for chance in chances]
    unsure = [chance.max().item() < UNSURE for chance in chances]

    is_single = len(digits) == 1
    right = [answer == digits for answer in answers]
    if not is_single:
        right = [others > 0 or is_unsure for is_unsure in unsure]
    summary = f"{name}: {digits}, read as {' '.join(answers)}"
    return Reading(kind, summary, is_single, others > 0, right, unsure)


def print_table(readings: list[Reading]) -> None:
    """Print for each kind how many are right, and how the warnings do."""
    print(f"{'':22} right    several?  pictures")
    for kind in [*dict.fromkeys(reading.kind for reading in readings), "total"]:
        chosen = [r for r in readings if kind in (r.kind, "total")]
        right = np.mean([reading.right for reading in chosen])
        warned = np.mean([reading.is_warned for reading in chosen])
        print(f"{kind:22} {right:6.1%}   {warned:6.1%}   {len(chosen):5}")

    right = np.array([reading.right for reading in readings if reading.is_single])
    unsure = np.array([reading.unsure for reading in readings if reading.is_single])
    for name, chosen in (("mistakes", ~right), ("correct answers", right)):
        print(
            f"unsure of {unsure[chosen].sum()} of {chosen.sum()} {name} with one digit"
        )


def print_ladder(models: list[ConvNet], pictures: list[Picture]) -> None:
    """Print how many are right with each step added, and with each one left out."""

    def right_without(names: list[str]) -> float:
        kept = {name: getattr(prepare, name) for name in STEPS if name not in names}
        with mock.patch.multiple(prepare, **(STEPS | kept)):
            return np.mean([read(models, picture).right for picture in pictures])

    names = list(STEPS)
    print(f"{'shrunk, inverted':22} {right_without(names):6.1%}", flush=True)
    for i, name in enumerate(names, start=1):
        added = right_without(names[i:])
        alone = right_without([name])
        print(f"+ {name:20} {added:6.1%}  without it {alone:6.1%}", flush=True)


def main(argv: list[str] | None = None) -> None:
    """Read or draw the pictures, ask the network, print how many are right."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--model", nargs="+", type=Path, default=[WEIGHTS_FILE])
    parser.add_argument("--ladder", action="store_true", help="step by step")

    parser.add_argument("--count", type=int, default=50, help="drawn ones of each kind")
    parser.add_argument("--seed", type=int, default=0, help="of the drawn ones")
    args = parser.parse_args(argv)

    try:
        models = [load_model(path) for path in args.model]
    except ValueError as error:
        sys.exit(f"photos.py: {error}")

    pictures = draw_pictures(args.count, args.seed)
    if args.folder:
        pictures = read_pictures(args.folder)
    if args.ladder:
        return print_ladder(models, list(pictures))

    readings = [read(models, picture) for picture in pictures]
    print_table(readings)
    for reading in readings:
        if not all(reading.right):
            print(reading.summary)


if __name__ == "__main__":
    main()
