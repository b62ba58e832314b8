"""Measure how well demo.py reads pictures: your own, or some that are drawn here.

    python docs/photos.py                   # draws 50 of each kind
    python docs/photos.py FOLDER            # your own, all that are in FOLDER
    python docs/photos.py FOLDER --steps    # what each step of prepare.py contributes
    python docs/photos.py FOLDER --numbers  # what each of its numbers contributes

Which digit a picture of yours shows: that of its folder, 7/IMG_2041.jpg, or the one
after the last _ of its name, a_7.jpg. Only in a folder that is called several, there
may be more than one after the _: several/a_42.jpg. All other files are skipped.

Prints, for each kind or folder, how many answers are right, and with how many demo.py
warns of several digits, is unsure or refuses to read. A picture of several digits is
right if demo.py does one of the three. With several --model, all shares are means.

The drawn pictures are MNIST's own test digits on paper: no real photographs.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple
from unittest import mock

import numpy as np
import torch
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter, ImageOps
from torch.nn import functional as F

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import prepare
from demo import UNSURE, classify, load_model, read_grey
from model import WEIGHTS_FILE, ConvNet
from train import load_mnist

PAPER = ["plain", "hard shadow", "soft shadow", "ruled", "ball pen", "pencil"]
CAMERA = ["blurred", "dark and noisy", "chalk on a board", "sheet on a desk"]
SCREEN = ["scan", "turned scan", "white on black", "dark square"]
CUT = ["cut out at its box", "cut out and enlarged", "cut out and stretched"]
LENGTHS = [2, 3, 4, 5, 6, 8]  # of numbers
SIZE = 400  # of the drawn pictures, in pixels


class Picture(NamedTuple):
    """A picture, and what it shows."""

    kind: str
    name: str
    grey: torch.Tensor  # (H, W) float32 in [0, 1]
    digits: str


class Reading(NamedTuple):
    """What demo.py would say about a picture, with each of the networks."""

    picture: Picture
    is_refused: bool
    is_warned: bool  # that there may be several digits
    answers: list[str]
    unsure: list[bool]

    @property
    def is_single(self) -> bool:
        return len(self.picture.digits) == 1

    @property
    def right(self) -> list[bool]:
        if self.is_single:
            return [answer == self.picture.digits for answer in self.answers]
        is_noticed = self.is_refused or self.is_warned
        return [is_noticed or is_unsure for is_unsure in self.unsure]


# Pictures to read


def read_pictures(folder: Path) -> Iterator[Picture]:
    """Read the pictures below a folder that say which digits they show."""
    folder = folder.resolve()
    for path in sorted(folder.rglob("*")):
        digits = digits_of(path)
        if not digits or not path.is_file():
            continue
        try:
            grey = read_grey(path)
        except OSError as error:  # no picture, or a broken one
            print(f"{path}: {error}", file=sys.stderr)
            continue
        kind = path.parent.relative_to(folder.parent).as_posix()
        yield Picture(kind, path.name, grey, digits)


def digits_of(path: Path) -> str:
    """Return the digits that a picture shows, or "" if nothing says so."""
    if re.fullmatch("[0-9]", path.parent.name):
        return path.parent.name

    ending = path.stem.rpartition("_")[2]  # of a name without _, all of it
    form = "[0-9][0-9-]+" if path.parent.name == "several" else "[0-9]"
    is_agreed = "_" in path.stem and re.fullmatch(form, ending)
    return ending if is_agreed else ""


def draw_pictures(count: int, seed: int) -> Iterator[Picture]:
    """Draw `count` pictures of each kind from MNIST's test images."""
    images, labels = load_mnist(train=False)

    for kind in PAPER + CAMERA + SCREEN + CUT:
        rng = np.random.default_rng([seed, *kind.encode()])  # no kind depends on others
        for i in rng.integers(len(images), size=count):
            grey = draw_picture(images[i].numpy(), kind, rng)
            digits = str(labels[i].item())
            yield Picture(kind, f"test image {i}", to_tensor(grey), digits)

    for length in LENGTHS:
        rng = np.random.default_rng([seed, length])
        for _ in range(count):
            chosen = rng.integers(len(images), size=length)
            grey = draw_number([images[i].numpy() for i in chosen], rng)
            digits = "".join(str(labels[i].item()) for i in chosen)
            yield Picture(f"{length} digits", "a number", to_tensor(grey), digits)


def to_tensor(grey: np.ndarray) -> torch.Tensor:
    """Turn (H, W) uint8 grey levels into what demo.read_grey returns."""
    return torch.tensor(grey).float() / 255


# Drawing


def draw_picture(digit: np.ndarray, kind: str, rng: Generator) -> np.ndarray:
    """Draw a picture (H, W) uint8 of a digit (28, 28) uint8."""
    box = cut_out(digit)
    if kind == "cut out at its box":  # as OpenCV's findContours would
        return np.asarray(box)
    if kind == "cut out and enlarged":
        return 255 - np.asarray(ImageOps.scale(box, 10))
    if kind == "cut out and stretched":
        return np.asarray(box.resize((28, 28), Image.Resampling.BILINEAR))

    page = draw_page(digit, kind, rng)
    if kind == "scan":
        return np.uint8(255 * page)
    if kind == "turned scan":  # put straight in an editor, which leaves black corners
        scan = Image.fromarray(np.uint8(255 * page))
        angle = rng.choice([-10, -5, 5, 10])
        return np.asarray(scan.rotate(angle, Image.Resampling.BICUBIC, expand=True))

    if kind in ("white on black", "dark square"):
        page = 1 - page
    if kind == "dark square":
        page = np.pad(page, SIZE // 4, constant_values=0.9)
    return photograph(page, kind, rng)


def cut_out(digit: np.ndarray) -> Image.Image:
    """Cut a digit (28, 28) uint8 out at its bounding box."""
    image = Image.fromarray(digit)
    return image.crop(image.getbbox())


def draw_page(digit: np.ndarray, kind: str, rng: Generator) -> np.ndarray:
    """Draw a digit (28, 28) uint8 on paper, (SIZE, SIZE) in [0, 1], evenly lit."""
    height = int(SIZE * rng.uniform(0.3, 0.8))
    if kind == "sheet on a desk":
        height = int(SIZE * rng.uniform(0.3, 0.5))
    ink = draw_ink(digit, height, rng, pen=kind in ("ball pen", "pencil", "ruled"))

    rows, columns = ink.shape
    top = int(rng.uniform(0.06 * SIZE, 0.94 * SIZE - rows))
    left = int(rng.uniform(0.06 * SIZE, 0.94 * SIZE - columns))
    if kind in ("scan", "turned scan"):
        top = (SIZE - rows) // 2
        left = (SIZE - columns) // 2

    page = np.full((SIZE, SIZE), rng.uniform(0.75, 0.95), np.float32)
    if kind == "ruled":
        spacing = int(rng.uniform(25, 70))
        first = int(rng.uniform(0, spacing))
        page[(np.arange(SIZE) + first) % spacing < 2] *= 0.8

    strength = rng.uniform(0.35, 0.55) if kind == "pencil" else rng.uniform(0.8, 0.95)
    if kind == "chalk on a board":
        page[:] = 0.3
        strength = -1.4  # it brightens the board from 0.30 to 0.72
    if kind not in ("scan", "turned scan"):
        ink = ink * (1 - 0.15 * blur(rng.uniform(size=ink.shape), 1))  # its grain
    page[top : top + rows, left : left + columns] *= 1 - strength * ink

    if kind == "sheet on a desk":
        margin = int(rng.uniform(15, 24))
        sheet = np.zeros_like(page)
        sheet[top - margin : top + rows + margin, left - margin :] = 1
        sheet[:, left + columns + margin :] = 0
        page = np.where(sheet > 0, page, rng.uniform(0.05, 0.3))
    return page


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

    left, top, right, bottom = Image.fromarray(ink > 0.5).getbbox()
    return ink[top:bottom, left:right]


def photograph(page: np.ndarray, kind: str, rng: Generator) -> np.ndarray:
    """Take a photograph (H, W) uint8 of a page: light, blur, noise."""
    height, width = page.shape
    y, x = np.mgrid[:height, :width] / SIZE
    page = page * (1 - rng.uniform(0, 0.3) * (x if rng.random() < 0.5 else y))
    if kind == "hard shadow":
        page = page * draw_shadow(rng, edge=rng.uniform(0, 0.02))
    if kind == "soft shadow":
        page = page * draw_shadow(rng, edge=rng.uniform(0.05, 0.15))

    page = blur(page, rng.uniform(4, 8) if kind == "blurred" else rng.uniform(0.5, 1.5))
    exposure = 0.25 if kind == "dark and noisy" else 1
    noise = 0.04 if kind == "dark and noisy" else 0.01
    page = page * exposure + rng.normal(0, noise, page.shape)
    return np.uint8(255 * page.clip(0, 1))


def draw_shadow(rng: Generator, edge: float) -> np.ndarray:
    """Return the light (SIZE, SIZE) beside a shadow, its edge blurred by `edge`."""
    image = Image.new("L", (SIZE, SIZE))
    corners = rng.uniform(0, SIZE, (3, 2))
    ImageDraw.Draw(image).polygon([*map(tuple, corners)], 255)

    shadow = blur(np.float32(image) / 255, SIZE * edge)
    return 1 - rng.uniform(0.2, 0.45) * shadow


def draw_number(digits: list[np.ndarray], rng: Generator) -> np.ndarray:
    """Draw digits (28, 28) uint8 side by side, black on white."""
    page = np.zeros((260, 0), np.uint8)
    for digit in digits:
        ink = np.asarray(ImageOps.scale(cut_out(digit), rng.uniform(3.5, 4.5)))
        above = (260 - len(ink)) // 2 + rng.integers(-6, 7)
        below = 260 - len(ink) - above
        space = rng.integers(8, 40)
        page = np.hstack([page, np.pad(ink, ((above, below), (space, 0)))])
    return 255 - np.pad(page, ((0, 0), (60, 80)))


def blur(values: np.ndarray, radius: float) -> np.ndarray:
    """Blur (H, W) values in [0, 1]."""
    image = Image.fromarray(np.uint8(255 * values))
    return np.float32(image.filter(ImageFilter.GaussianBlur(radius))) / 255


# Measuring


def read(
    models: list[ConvNet], picture: Picture, preparation: ModuleType = prepare
) -> Reading:
    """Prepare a picture once and ask each of the networks."""
    try:
        pixels, others = preparation.prepare(picture.grey)
    except preparation.NoInk:
        nothing = [False] * len(models)
        return Reading(picture, True, False, ["nothing"] * len(models), nothing)

    probabilities = [classify(model, pixels) for model in models]
    answers = [str(chances.argmax().item()) for chances in probabilities]
    unsure = [chances.max().item() < UNSURE for chances in probabilities]
    return Reading(picture, False, others > 0, answers, unsure)


def share_right(readings: list[Reading]) -> str:
    """Return the share of right answers to pictures of one digit."""
    right = [reading.right for reading in readings if reading.is_single]
    return f"{np.mean(right):.1%}" if right else "-"


def shares_warned(readings: list[Reading]) -> tuple[str, str]:
    """Return the share of warnings for pictures of one digit, and of several."""
    single = [r.is_warned for r in readings if r.is_single]
    several = [r.is_warned for r in readings if not r.is_single]
    one, more = (f"{np.mean(part):.1%}" if part else "-" for part in (single, several))
    return one, more


def print_row(first: object, *cells: object) -> None:
    """Print a row of a Markdown table."""
    print(f"| {first:32} |", *(f"{cell:>9} |" for cell in cells), flush=True)


def print_header(first: str, *names: str) -> None:
    """Print the first two rows of a Markdown table."""
    print_row(first, *names)
    print_row("---", *["---:"] * len(names))


def print_kinds(readings: list[Reading]) -> None:
    """Print for each kind of picture what demo.py says, and for which it is wrong."""
    print_header("kind", "right", "several?", "unsure", "refused", "pictures")
    for kind in [*dict.fromkeys(r.picture.kind for r in readings), "total"]:
        chosen = [r for r in readings if kind in (r.picture.kind, "total")]
        right = np.mean([reading.right for reading in chosen])
        warned = np.mean([reading.is_warned for reading in chosen])
        unsure = np.mean([reading.unsure for reading in chosen])
        refused = np.mean([reading.is_refused for reading in chosen])
        shares = [f"{share:.1%}" for share in (right, warned, unsure, refused)]
        print_row(kind, *shares, len(chosen))

    answered = [r for r in readings if r.is_single and not r.is_refused]
    right = np.array([reading.right for reading in answered], bool)
    unsure = np.array([reading.unsure for reading in answered], bool)
    print("\nOf the pictures with one digit:")
    for name, chosen in (("mistakes", ~right), ("correct answers", right)):
        print(f"{unsure[chosen].sum()} of {chosen.sum()} {name} are unsure")

    print("\nWrong:")
    for picture, *_, answers, _ in (r for r in readings if not all(r.right)):
        place = f"{picture.kind}, {picture.name}"
        print(f"{place}: {picture.digits}, read as {' '.join(answers)}")


# What each step contributes


def shrink(digit: torch.Tensor) -> torch.Tensor:
    """Squeeze all of a picture into 28x28."""
    shrunk = F.interpolate(digit[None, None], (28, 28), mode="bicubic", antialias=True)
    return (shrunk[0, 0] / shrunk.max()).clamp(0, 1)


STEPS = {  # in prepare.py's order: its name for each, and what would be done without it
    "inside_sheet": lambda picture: picture,
    "find_ink": lambda page: page.max() - page,
    "without_lines": lambda ink: ink,
    "otsu_threshold": lambda ink: min(1 / 255, ink.max()),
    "connected_components": lambda mask: mask.float(),
    "closer": lambda page, digit: page,
    "widen_strokes": lambda digit: digit,
    "centre": shrink,
}
ADDED = ["find_ink", "centre", "otsu_threshold", "connected_components"]
ADDED += ["without_lines", "inside_sheet", "closer", "widen_strokes"]


def print_steps(models: list[ConvNet], pictures: list[Picture]) -> None:
    """Print how many are right with each step left out, and with one after another."""

    def right_without(names: list[str]) -> str:
        kept = {name: getattr(prepare, name) for name in STEPS if name not in names}
        with mock.patch.multiple(prepare, **(STEPS | kept)):
            return share_right([read(models, picture) for picture in pictures])

    print_header("step of prepare.py", "without")
    for name in STEPS:
        print_row(name, right_without([name]))
    print()

    print_header("steps", "right")
    print_row("only shrunk and inverted", right_without(ADDED))
    for i, name in enumerate(ADDED, start=1):
        print_row(f"+ {name}", right_without(ADDED[i:]))


# What each number contributes

NUMBERS = [  # where it stands in prepare.py, as it is, about half of it, about twice
    ("max() < {}\n    return bool(is_centred)", "0.6", "0.3", "1.2"),
    ("width > {} * height", "1.5", "0.75", "3"),
    ("SIDE = {}", "96", "48", "192"),
    ("small > {} * small.quantile", "0.4", "0.2", "0.8"),
    ("small.quantile({})", "0.9", "0.45", "1.0"),
    ("min(inside.shape) > SIDE / {}", "4", "2", "8"),
    ("inside.numel() < {} * small", "0.97", "0.48", "1.94"),
    ("inside.float().mean() > {}", "0.7", "0.35", "1.0"),
    ("inside.sum() > {} * region", "0.9", "0.45", "1.0"),
    ("picture, margin=-{}", "1", "0.5", "2"),
    ("[SIDE // {}] * 4", "16", "8", "32"),
    ("avg_pool2d(page[None], {})", "25", "12", "50"),
    ("ink.max() / {}", "3", "1.5", "6"),
    ("dilate(ink, {})", "3", "1", "6"),
    ("dilate(mask.float(), {})", "3", "1", "6"),
    ("scores[number] *= {}", "0.1", "0.05", "0.2"),
    ("digit.max() < {}", "0.04", "0.02", "0.08"),
    ("scores[best] / {}", "2", "1", "4"),
    ("margin={} * max", "0.3", "0.15", "0.6"),
    ("side = {}  # pixels", "80", "40", "160"),
    ("{} * side", "0.12", "0.06", "0.24"),
]


def edited(place: str, number: str, other: str) -> ModuleType:
    """Return prepare.py with another number at a place."""
    source = (ROOT / "prepare.py").read_text(encoding="utf-8")
    found = source.count(place.format(number))
    if found != 1:
        raise ValueError(f"{place.format(number)!r} is {found} times in prepare.py")

    module = ModuleType(f"prepare with {other}")
    source = source.replace(place.format(number), place.format(other))
    exec(source, vars(module))  # noqa: S102, the source is our own
    return module


def print_numbers(models: list[ConvNet], pictures: list[Picture]) -> None:
    """Print how many are right, and warned of, with each number halved and doubled."""
    edits = [  # all before the first measurement, which takes long
        (place, number, [edited(place, number, half), edited(place, number, double)])
        for place, number, half, double in NUMBERS
    ]
    readings = [read(models, picture) for picture in pictures]
    print("Right answers with one digit, and warnings with one and with several.")
    print(
        "As it is:", share_right(readings), "and", *shares_warned(readings), end="\n\n"
    )

    names = ["number", "halved", "doubled", "warned, halved", "warned, doubled"]
    print_header("where", *names)
    for place, number, modules in edits:
        shares, warned = [], []
        for module in modules:
            readings = [read(models, picture, module) for picture in pictures]
            shares.append(share_right(readings))
            warned.append(", ".join(shares_warned(readings)))
        print_row(f"`{place.partition(chr(10))[0]}`", number, *shares, *warned)


def main(argv: list[str] | None = None) -> None:
    """Read or draw the pictures, ask the networks, print how many are right."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--model", nargs="+", type=Path, default=[WEIGHTS_FILE])
    parser.add_argument("--steps", action="store_true", help="leave steps out")
    parser.add_argument("--numbers", action="store_true", help="halve and double them")
    parser.add_argument("--count", type=int, default=50, help="drawn ones of each kind")
    parser.add_argument("--seed", type=int, default=0, help="of the drawn ones")
    args = parser.parse_args(argv)

    models = [load_model(path) for path in args.model]
    if args.folder:
        pictures = list(read_pictures(args.folder))
    else:
        pictures = list(draw_pictures(args.count, args.seed))
    if not pictures:
        sys.exit(f"photos.py: no pictures like 7/a.jpg or a_7.jpg in {args.folder}")

    if args.steps:
        print_steps(models, pictures)
    if args.numbers:
        print_numbers(models, pictures)
    if not args.steps and not args.numbers:
        print_kinds([read(models, picture) for picture in pictures])


if __name__ == "__main__":
    main()
