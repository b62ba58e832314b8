"""Measure how well demo.py reads pictures: your own, or some that are drawn here.

    python tests/photos.py FOLDER    # pictures whose names end in their digit, a_7.jpg
    python tests/photos.py             # draws 50 of each of ten kinds

Prints how many are right of each kind (FOLDER's subfolders) and saves a sheet of the
wrong ones, each beside what the network saw. The drawn pictures are MNIST's test
digits in ink on paper, photographed or scanned: no real photographs.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from demo import load_model, read_grey
from model import WEIGHTS_FILE, ConvNet, to_input
from prepare import prepare
from train import load_mnist

KINDS = (
    "plain",
    "shadow",
    "ruled",
    "ball pen",
    "pencil",
    "blurred",
    "dark and noisy",
    "sheet on a desk",
    "scan",
    "white on black",
)
Picture = tuple[str, str, np.ndarray, int]  # kind, name, grey levels, digit


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
    left, top, right, bottom = Image.fromarray(ink > 0.5).getbbox() or (0, 0, 9, 9)
    return ink[top:bottom, left:right]


def draw_shadow(size: int, rng: Generator) -> np.ndarray:
    """Return the light (size, size) beside the soft shadow of a hand or a phone."""
    image = Image.new("L", (size, size))
    corners = rng.uniform(0, size, (3, 2))
    ImageDraw.Draw(image).polygon([*map(tuple, corners)], 255)
    shadow = blur(np.float32(image) / 255, size * rng.uniform(0.01, 0.04))
    return 1 - rng.uniform(0.2, 0.45) * shadow


def draw_picture(digit: np.ndarray, kind: str, rng: Generator) -> np.ndarray:
    """Draw a picture (400, 400) uint8 of a digit (28, 28) uint8 as `kind` says."""
    size = 400
    height = int(size * rng.uniform(0.3, 0.8))
    if kind == "sheet on a desk":
        height = int(size * rng.uniform(0.3, 0.5))
    ink = draw_ink(digit, height, rng, pen=kind in ("ball pen", "pencil", "ruled"))
    rows, columns = ink.shape
    top, left = (int(rng.uniform(0.06 * size, 0.94 * size - n)) for n in ink.shape)
    if kind == "scan":
        top, left = (size - rows) // 2, (size - columns) // 2
    page = np.full((size, size), rng.uniform(0.75, 0.95), np.float32)
    if kind == "ruled":
        y, spacing = np.arange(size), int(rng.uniform(25, 70))
        page[(y + int(rng.uniform(0, spacing))) % spacing < 2] *= 0.8
    strength = rng.uniform(0.35, 0.55) if kind == "pencil" else rng.uniform(0.8, 0.95)
    grain = 1 - 0.15 * blur(rng.uniform(size=ink.shape), 1) if kind != "scan" else 1
    page[top : top + rows, left : left + columns] *= 1 - strength * ink * grain
    if kind == "scan":
        return np.uint8(255 * page)
    if kind == "white on black":
        page = 1 - page
    if kind == "sheet on a desk":
        margin = int(rng.uniform(15, 24))
        sheet = np.zeros_like(page)
        sheet[top - margin : top + rows + margin, left - margin :] = 1
        sheet[:, left + columns + margin :] = 0
        page = np.where(sheet > 0, page, rng.uniform(0.05, 0.3))
    y, x = np.mgrid[:size, :size] / size
    page = page * (1 - rng.uniform(0, 0.3) * (x if rng.random() < 0.5 else y))
    if kind == "shadow":
        page = page * draw_shadow(size, rng)
    page = blur(page, rng.uniform(4, 8) if kind == "blurred" else rng.uniform(0.5, 1.5))
    exposure, noise = (0.25, 0.04) if kind == "dark and noisy" else (1, 0.01)
    page = page * exposure + rng.normal(0, noise, page.shape)
    return np.uint8(255 * page.clip(0, 1))


def draw_pictures(count: int, seed: int) -> Iterator[Picture]:
    """Draw `count` test digits of each kind."""
    _, (images, labels) = load_mnist(ROOT / "data", torch.device("cpu"))
    rng = np.random.default_rng(seed)
    for kind in KINDS:
        for i in rng.integers(len(images), size=count):
            grey = draw_picture(images[i].numpy(), kind, rng)
            yield kind, f"test image {i}", grey, int(labels[i])


def read_pictures(folder: Path) -> Iterator[Picture]:
    """Read the pictures below a folder whose names end in a digit."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.stem[-1:].isdigit():
            try:
                grey = read_grey(path)
            except ValueError as error:
                print(f"{path}: {error}", file=sys.stderr)
                continue
            kind = path.relative_to(folder).parent.as_posix()
            yield kind, path.name, grey, int(path.stem[-1])


@torch.inference_mode()
def answer(model: ConvNet, grey: np.ndarray) -> tuple[np.ndarray, int | None]:
    """Return what the network saw, (28, 28) uint8, and its answer, if there is ink."""
    try:
        pixels, _ = prepare(grey)
    except ValueError:
        return np.zeros((28, 28), np.uint8), None
    return pixels, model(to_input(torch.tensor(pixels[None]))).argmax().item()


def draw_sheet(wrong: list[tuple]) -> Image.Image:
    """Draw each wrong picture beside what the network saw, four in a row."""
    sheet = Image.new("RGB", (4 * 220, 130 * max(1, -(-len(wrong) // 4))), "white")
    for i, (grey, pixels, caption) in enumerate(wrong):
        x, y = i % 4 * 220 + 5, i // 4 * 130 + 5
        picture = Image.fromarray(grey)
        picture.thumbnail((104, 104))
        sheet.paste(picture, (x, y))
        sheet.paste(Image.fromarray(pixels).resize((104, 104)), (x + 106, y))
        ImageDraw.Draw(sheet).text((x, y + 108), caption, "black")
    return sheet


def main(argv: list[str] | None = None) -> None:
    """Read or draw the pictures, ask the network, print how many are right."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--model", type=Path, default=WEIGHTS_FILE, help="weights")
    parser.add_argument("--count", type=int, default=50, help="drawn ones of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sheet", default="wrong.png", help="file for the wrong ones")
    args = parser.parse_args(argv)
    try:
        model = load_model(args.model)
    except ValueError as error:
        sys.exit(f"photos.py: {error}")
    pictures = draw_pictures(args.count, args.seed)
    if args.folder:
        pictures = read_pictures(args.folder)
    right, wrong = {}, []
    for kind, name, grey, digit in pictures:
        pixels, result = answer(model, grey)
        right.setdefault(kind, []).append(result == digit)
        if result != digit:
            wrong.append((grey, pixels, f"{name[-22:]}: {digit}, read as {result}"))
    right["total"] = [result for results in right.values() for result in results]
    for kind, results in right.items():
        share = 100 * np.mean(results or [0])
        print(f"{kind:20} {share:5.1f} % of {len(results)}")
    draw_sheet(wrong).save(args.sheet)
    print(f"{len(wrong)} wrong ones: {args.sheet}")


if __name__ == "__main__":
    main()
