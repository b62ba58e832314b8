"""Measure how well demo.py reads photographs, scans and odd files of digits.

    python tests/photos.py                             # minutes; the kinds are below
    python tests/photos.py --count 8 --sheet sheet.png photo_shadow mode_gif

A measuring tool, which pytest does not run. Digits of MNIST are drawn anew, each on
its own random paper, in its own light, size and place. The font_ kinds need
handwriting fonts, the uci_ kinds scikit-learn for its 8x8 digits; without these they
are skipped. The fonts of Debian or Ubuntu:

    apt-get install fonts-bwht fonts-comic-neue fonts-dkg-handwriting fonts-havana \\
        fonts-humor-sans fonts-kiloji fonts-klee fonts-rufscript fonts-sjfonts \\
        fonts-tomsontalks fonts-yusei-magic
"""

import argparse
import io
import re
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import demo
import train
from model import WEIGHTS_FILE, ConvNet
from resolve import check_writable, encode_png, replace_file

File = tuple[bytes, str]  # what is in the file, and its suffix
Box = tuple[int, int, int, int]  # left, top, right, bottom
Range = tuple[float, float]
Colour = tuple[float, float, float]
Digits = tuple[Sequence[np.ndarray], Sequence[int]]  # white on black, and labels

WHITE = [(0.97, 0.97, 0.95), (0.94, 0.95, 0.97), (0.95, 0.92, 0.86)]
GREY = [(0.72, 0.72, 0.70), (0.6, 0.6, 0.62), (0.5, 0.49, 0.47)]
COLOURED = [(0.95, 0.9, 0.5), (0.62, 0.78, 0.92), (0.93, 0.7, 0.76), (0.7, 0.55, 0.4)]
BOARD = [(0.13, 0.14, 0.14), (0.12, 0.22, 0.18), (0.2, 0.21, 0.23)]
SCREEN = [(0.03, 0.03, 0.04), (0.1, 0.1, 0.12)]
BLACK_INK = [(0.08, 0.08, 0.1), (0.18, 0.18, 0.2), (0.1, 0.12, 0.25)]
BRIGHT_INK = [(0.1, 0.2, 0.65), (0.75, 0.1, 0.15), (0.05, 0.45, 0.2)]
CHALK = [(0.92, 0.92, 0.9), (0.8, 0.8, 0.78)]

FONTS = re.compile(
    r"BecauseWe|ComicNeue-Regular\.|Havana|dkg(Bd)?\.|Humor|kiloji(_b)?\.|KleeOne-Reg"
    r"|Rufscript|SteveHand|Tomson|YuseiMagic"
)
SHOWN = 5  # pictures of each kind on the sheet


def crop(digit: np.ndarray, least: float = 25) -> np.ndarray:
    """Cut away the rows and columns around a digit in which nothing is brighter."""
    rows, columns = np.nonzero(digit > least)
    return digit[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def blur(image: Image.Image, radius: float) -> Image.Image:
    """Make a picture less sharp."""
    return image.filter(ImageFilter.GaussianBlur(float(radius)))


def to_image(values: np.ndarray) -> Image.Image:
    """Make a grey picture of numbers from 0 to 1."""
    return Image.fromarray((values * 255.0).round().astype(np.uint8))


def from_image(image: Image.Image) -> np.ndarray:
    """Turn a grey picture into numbers from 0 to 1."""
    return np.asarray(image, np.float32) / 255


def redraw(digit: np.ndarray, height: float) -> np.ndarray:
    """Draw a digit `height` pixels tall with sharp edges: the ink, from 0 to 1."""
    digit = np.pad(crop(digit), 2)
    scale = float(height) / (digit.shape[0] - 4)
    size = [max(1, round(side * scale)) for side in reversed(digit.shape)]
    image = Image.fromarray(digit).resize(size, Image.Resampling.BICUBIC)
    if scale > 1.5:
        image = blur(image, 0.5 * scale)
    return ((from_image(image) - 0.47) * max(1.0, 0.8 * scale) + 0.47).clip(0, 1)


def thin(shape: np.ndarray) -> np.ndarray:
    """Thin a shape to lines one pixel wide (the method of Zhang and Suen)."""
    around = [(1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1)]
    before = None
    while not np.array_equal(before, shape):
        before = shape
        for first in (0, 4):
            ring = np.array([np.roll(shape, step, (0, 1)) for step in around])
            count = ring.sum(axis=0)
            starts = (ring & ~np.roll(ring, 1, axis=0)).sum(axis=0)
            up, right, down, left = np.roll(ring, first, axis=0)[::2]
            outer = ~(right & down & (up | left))
            shape = shape & ~((count >= 2) & (count <= 6) & (starts == 1) & outer)
    return shape


def draw_with_pen(digit: np.ndarray, height: float, width: float) -> np.ndarray | None:
    """Draw a digit with a pen of one width; None if its loops are filled."""
    shape = redraw(digit, 120) > 0.5
    points = np.argwhere(thin(shape))[:, ::-1].astype(float)
    distance = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1))
    near = distance < 5
    points = near @ points / near.sum(axis=1, keepdims=True)
    lines = np.argwhere(np.triu((distance > 0) & (distance < 1.5)))

    def stroke(scale: float, width: float) -> np.ndarray:
        fine = 4 if scale < 4 else 2  # draw larger and reduce: smooth edges
        size = [round(side * scale) for side in reversed(shape.shape)]
        image = Image.new("L", [side * fine for side in size])
        canvas = ImageDraw.Draw(image)
        ends = (points + 0.5) * scale * fine
        for a, b in lines:
            canvas.line([*ends[a], *ends[b]], 255, round(width * fine))
        radius = width * fine / 2
        for x, y in ends:
            canvas.ellipse([x - radius, y - radius, x + radius, y + radius], 255)
        return from_image(image.resize(size, Image.Resampling.BOX))

    same = stroke(1, shape.sum() / len(points)) > 0.5
    if (same & shape).sum() < 0.8 * (same | shape).sum():
        return None
    return stroke(height / 120, width)


def turn(ink: np.ndarray, degrees: float) -> np.ndarray:
    """Turn the ink a little, and cut off the empty borders."""
    image = Image.fromarray(ink).rotate(degrees, Image.Resampling.BICUBIC, expand=True)
    return crop(np.asarray(image).clip(0, 1), 0.1)


def pick(rng: Generator, choices: list) -> Any:
    """Choose one."""
    return choices[rng.integers(len(choices))]


def cloud(rng: Generator, size: tuple[int, int], cell: float) -> np.ndarray:
    """Smooth random spots about `cell` pixels wide, from -1 to 1."""
    width, height = size
    few = rng.uniform(-1, 1, (int(height / cell) + 2, int(width / cell) + 2))
    image = Image.fromarray(few.astype(np.float32))
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC)).clip(-1, 1)


def across(size: tuple[int, int], degrees: float) -> np.ndarray:
    """How far each pixel lies in one direction, in pixels."""
    angle = np.radians(degrees)
    x = np.arange(size[0], dtype=np.float32) * np.float32(np.cos(angle))
    y = np.arange(size[1], dtype=np.float32) * np.float32(np.sin(angle))
    return y[:, None] + x


def cover(page: np.ndarray, where: np.ndarray, colour: Colour) -> None:
    """Lay a colour over a page, as opaque as `where` says."""
    page += (np.array(colour, np.float32) - page) * where[..., None]


def rule(page: np.ndarray, box: Box, rng: Generator) -> None:
    """Print lines or squares, fainter than ink, on the paper."""
    spacing = max(12, rng.uniform(0.3, 1.2) * (box[3] - box[1]))
    width = max(1, spacing * rng.uniform(0.02, 0.05))
    lean = rng.uniform(-4, 4)
    colour = page[0, 0] * pick(rng, [(0.65, 0.78, 0.92), (0.75, 0.75, 0.77)])
    for degrees in [90] if rng.random() < 0.5 else [0, 90]:
        place = across(page.shape[1::-1], degrees + lean) + rng.uniform(0, spacing)
        off = np.abs(place % spacing - spacing / 2)
        cover(page, (width / 2 + 0.5 - off).clip(0, 1), colour)


def speckle(page: np.ndarray, box: Box, rng: Generator) -> None:
    """Strew grain and dust everywhere, and crumbs and blots beside the digit."""
    height, width = page.shape[:2]
    tall = box[3] - box[1]
    gap = 0.15 * tall
    page *= 1 + 0.04 * cloud(rng, (width, height), 3)[..., None]
    layer = Image.new("L", (width, height))
    canvas = ImageDraw.Draw(layer)
    for biggest in [0.012] * rng.integers(10, 60) + [0.06] * rng.integers(1, 8):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        a, b = rng.uniform(0.4, 1, 2) * max(0.8, biggest * tall)
        near = box[0] - gap < x < box[2] + gap and box[1] - gap < y < box[3] + gap
        if biggest < 0.02 or not near:
            canvas.ellipse([x - a, y - b, x + a, y + b], int(rng.integers(80, 256)))
    cover(page, from_image(blur(layer, 0.7)), (0.25, 0.2, 0.15))


def add_desk(page: np.ndarray, box: Box, rng: Generator) -> None:
    """Show dark things at the frame's edges: the desk, a binding or a finger."""
    height, width = page.shape[:2]
    gaps = [box[0], box[1], width - box[2], height - box[3]]
    for side in rng.permutation(4)[: rng.integers(1, 5)]:
        room = min(gaps[side] * 0.7, 0.3 * (width, height)[side % 2])
        thick = room * rng.uniform(0.3, 1)
        place = across((width, height), 90 * side + rng.uniform(-4, 4))
        soft = pick(rng, [1.5, 1.5, thick / 3])
        where = ((thick - (place - place.min())) / soft).clip(0, 1)
        colour = pick(rng, [(0.3, 0.2, 0.12), (0.08, 0.08, 0.09), (0.45, 0.36, 0.28)])
        cover(page, where, colour)
    if rng.random() < 0.4:
        layer = Image.new("L", (width, height))
        right, low = rng.integers(2, size=2)
        x, y = right * width, low * height
        a, b = min(gaps[2 * right], width / 5), min(gaps[1 + 2 * low], height / 4)
        corners = [x - 0.7 * a, y - 0.7 * b, x + 0.7 * a, y + 0.7 * b]
        ImageDraw.Draw(layer).ellipse(corners, 255)
        cover(page, from_image(blur(layer, 2)), (0.75, 0.5, 0.4))


def print_form(page: np.ndarray, box: Box, rng: Generator) -> None:
    """Print a box of a form around the digit, and perhaps others beside it."""
    left, top, right, low = box
    a, b, c, d = rng.uniform(0.15, 0.5, 4) * (low - top)
    corners = np.array([left - a, top - b, right + c, low + d])
    layer = Image.new("L", page.shape[1::-1])
    canvas = ImageDraw.Draw(layer)
    width = max(1, round(rng.uniform(0.01, 0.04) * (low - top)))
    for i in pick(rng, [[0], [0, 1], [-1, 0], [-2, -1, 0, 1, 2]]):
        shift = i * (corners[2] - corners[0])
        canvas.rectangle([*(corners + [shift, 0, shift, 0])], outline=255, width=width)
    cover(page, from_image(layer), pick(rng, [*BLACK_INK, (0.5, 0.5, 0.5)]))


def lay_on_desk(page: np.ndarray, box: Box, rng: Generator) -> None:
    """Show a sheet, not much larger than the digit, on a dark desk."""
    left, top, right, low = box
    a, b, c, d = rng.uniform(0.2, 0.8, 4) * (low - top)
    x, y = (left + right) / 2, (top + low) / 2
    left, top, right, low = left - a, top - b, right + c, low + d
    sheet = np.array([[left, top], [right, top], [right, low], [left, low]]) - [x, y]
    angle = np.radians(rng.uniform(-6, 6))
    way = [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
    layer = Image.new("L", page.shape[1::-1], 255)
    ImageDraw.Draw(layer).polygon([*(sheet @ way + [x, y]).ravel()], 0)
    colour = pick(rng, [(0.3, 0.2, 0.12), (0.08, 0.08, 0.09), (0.45, 0.36, 0.28)])
    cover(page, from_image(blur(layer, 0.7)), colour)


def smudge(page: np.ndarray, box: Box, rng: Generator) -> None:
    """Leave the wiped-off chalk of earlier writing on a blackboard."""
    size = page.shape[1::-1]
    spots = cloud(rng, size, size[0] / 5) * 0.7 + cloud(rng, size, size[0] / 30) * 0.3
    cover(page, (spots * 0.22).clip(0, 1), (0.8, 0.8, 0.78))


def even_light(size: tuple[int, int], rng: Generator) -> np.ndarray:
    """Light that falls off gently towards one side."""
    ramp = across(size, rng.uniform(0, 360))
    ramp = (ramp - ramp.min()) / np.ptp(ramp)
    return rng.uniform(0.7, 1.05) * (1 - rng.uniform(0, 0.3) * ramp)


def shadow(size: tuple[int, int], rng: Generator) -> np.ndarray:
    """Light from a lamp or through a lens, with the shadow of a hand or a phone."""
    width, height = size
    light = even_light(size, rng)
    x = np.linspace(-1, 1, width, dtype=np.float32) - rng.uniform(-0.6, 0.6)
    y = np.linspace(-1, 1, height, dtype=np.float32) - rng.uniform(-0.6, 0.6)
    light *= 1 - rng.uniform(0, 0.25) * (y[:, None] ** 2 + x**2).clip(0, 2.4)
    layer = Image.new("L", size)
    canvas = ImageDraw.Draw(layer)
    shape, unit = rng.integers(3), min(size)
    x, y = rng.uniform(0.1, 0.9) * width, rng.uniform(0.1, 0.9) * height
    if shape == 0:  # everything beyond a straight edge
        place = across(size, rng.uniform(0, 360))
        layer = to_image(place > place[int(y), int(x)])
    elif shape == 1:  # a phone, and the arm that holds it
        box = [x - unit / 4, y - unit / 2, x + unit / 4, y + unit / 2]
        canvas.rounded_rectangle(box, unit / 16, 255)
        canvas.line([x, y, x + unit / 3, 2 * height], 255, unit // 4)
    else:  # a hand, and its fingers
        canvas.ellipse([x - unit / 4, y, x + unit / 4, y + height], 255)
        for way in (-0.25, -0.1, 0.05, 0.2):
            end = (x + 1.6 * way * unit, y - rng.uniform(0.1, 0.3) * unit)
            canvas.line([x + way * unit, y + unit / 2, *end], 255, unit // 12)
    layer = blur(layer, unit * rng.uniform(0.001, 0.03))
    return light * (1 - rng.uniform(0.25, 0.6) * from_image(layer))


def save(image: Image.Image, suffix: str, **options: Any) -> File:
    """Encode a picture as a file of the format that goes with `suffix`."""
    file = io.BytesIO()
    image.save(file, Image.registered_extensions()[suffix], **options)
    return file.getvalue(), suffix


def photograph(
    digit: np.ndarray,
    rng: Generator,
    side: Range = (300, 1200),  # the frame's shorter side, in pixels
    tall: Range = (0.08, 0.7),  # the digit's height, as a share of the frame's
    pen: Range | None = None,  # stroke width, below 1 as a share of the digit's height
    papers: list[Colour] = WHITE,
    inks: list[Colour] = BLACK_INK,
    opacity: Range = (0.85, 1),  # how well the ink covers the paper
    grain: float = 0.1,  # how unevenly it does
    things: Callable | None = None,  # what else to draw on the paper
    light: Callable = even_light,
    exposure: float = 1,
    defocus: Range = (0, 0.004),  # radius of the blur, as a share of the digit's height
    noise: Range = (1, 5),  # of the sensor, in grey levels
    sideways: bool = False,  # the camera was turned, as the EXIF data say
) -> File | None:
    """Photograph a digit on paper as a JPEG file; None if the pen can't draw it."""
    short = np.exp(rng.uniform(*np.log(side)))
    shape = pick(rng, [(4, 3), (4, 3), (3, 4), (3, 4), (1, 1), (16, 9), (9, 16)])
    size = tuple(round(short * part / min(shape)) for part in shape)
    height = size[1] * np.exp(rng.uniform(*np.log(tall)))
    height *= min(1, 0.8 * size[0] * np.divide(*crop(digit).shape) / height)
    if pen:
        width = rng.uniform(*pen)
        ink = draw_with_pen(digit, height, width if width > 1 else width * height)
    else:
        ink = redraw(digit, height)
    if ink is None:
        return None
    ink = turn(ink, rng.uniform(-6, 6))
    rows, columns = ink.shape
    left, top = (
        int(rng.uniform(0.04 * whole, max(0.04 * whole, 0.96 * whole - part)))
        for whole, part in zip(size, (columns, rows), strict=True)
    )
    page = np.empty((size[1], size[0], 3), np.float32)
    page[:] = pick(rng, papers)
    if things:
        things(page, (left, top, left + columns, top + rows), rng)
    ink = ink * rng.uniform(*opacity)
    ink *= 1 - grain * (1 + cloud(rng, (columns, rows), max(1.5, height / 80)))
    cover(page[top : top + rows, left : left + columns], ink, pick(rng, inks))
    page *= light(size, rng)[..., None] * exposure * rng.uniform(0.94, 1.03, 3)
    image = Image.fromarray((page * 250).clip(0, 255).astype(np.uint8))
    image = blur(image, 0.5 + rng.uniform(*defocus) * height)
    seen = rng.standard_normal(page.shape, np.float32) * rng.uniform(*noise)
    image = Image.fromarray((image + seen).clip(0, 255).astype(np.uint8))
    options = {"quality": int(rng.integers(50, 96))}
    if sideways:
        turns = [(3, "ROTATE_180"), (6, "ROTATE_90"), (8, "ROTATE_270")]
        options["exif"] = exif = Image.Exif()
        exif[0x0112], name = pick(rng, turns)
        image = image.transpose(Image.Transpose[name])
    return save(image, ".jpg", **options)


def put(ink: np.ndarray, canvas: np.ndarray, rng: Generator) -> np.ndarray:
    """Put the ink anywhere on a canvas (height, width), made larger if it must be."""
    room = (np.maximum(np.array(ink.shape) * 1.02, canvas) - ink.shape).astype(int)
    before = rng.integers(room + 1)
    return np.pad(ink, np.stack([before, room - before], axis=1))


def draw(
    digit: np.ndarray,
    rng: Generator,
    side: Range = (200, 800),  # the canvas's height, in pixels
    tall: Range = (0.3, 0.85),  # the digit's height, as a share of it
    stretch: Range = (0.8, 1.25),  # the canvas's width, as a share of its height
) -> np.ndarray:
    """Draw a digit anywhere on a canvas: how much ink there is, from 0 to 1."""
    canvas = np.array([1, rng.uniform(*stretch)]) * rng.uniform(*side)
    ink = turn(redraw(digit, canvas[0] * rng.uniform(*tall)), rng.uniform(-4, 4))
    return put(ink, canvas, rng)


def scan(
    digit: np.ndarray, rng: Generator, white_ink: float = 0, **options: Range
) -> File:
    """Draw black on white or, as often as `white_ink` says, white on black."""
    white = rng.random() < white_ink
    ink = draw(digit, rng, **options)
    return save(to_image(ink if white else 1 - ink), ".png")


def scan_mnist(digit: np.ndarray, rng: Generator) -> File:
    """Save the digit as it is: what the other kinds compare with."""
    return save(Image.fromarray(digit), ".png")


def scan_off_centre(digit: np.ndarray, rng: Generator) -> File:
    """Shift the digit of MNIST 2 to 4 pixels, without cutting it."""
    part = crop(digit)
    room = 28 - np.array(part.shape)
    shift = rng.integers(2, 5, 2) * rng.choice([-1, 1], 2)
    before = (room // 2 + shift).clip(0, room)
    moved = np.pad(part, np.stack([before, room - before], axis=1))
    return save(Image.fromarray(moved if rng.random() < 0.5 else 255 - moved), ".png")


def scan_touching(digit: np.ndarray, rng: Generator, white: bool = False) -> File:
    """Crop a drawing so tightly that the ink touches all four borders."""
    ink = turn(redraw(digit, rng.uniform(60, 500)), rng.uniform(-4, 4))
    return save(to_image(ink if white else 1 - ink), ".png")


def scan_paint(digit: np.ndarray, rng: Generator) -> File | None:
    """Draw with the hard-edged brush of a paint program."""
    canvas = rng.integers(200, 700, 2)
    height = canvas.min() * rng.uniform(0.3, 0.85)
    ink = draw_with_pen(digit, height, max(2, height * rng.uniform(0.015, 0.1)))
    if ink is None:
        return None
    ink = put(crop(ink, 0.5), canvas, rng) > 0.5
    colour = pick(rng, [(0, 0, 0), (0, 0, 0), (0, 0, 255), (237, 28, 36)])
    page = np.where(ink[..., None], colour, 255).astype(np.uint8)
    return save(Image.fromarray(page), pick(rng, [".png", ".bmp"]))


def encode(
    digit: np.ndarray, rng: Generator, mode: str, suffix: str = ".png", **options: Any
) -> File:
    """Draw black on white, or a colour on nothing, in one of Pillow's modes."""
    ink = draw(digit, rng, (100, 500))
    if mode == "I;16":
        image = Image.fromarray(((1 - ink) * 65535).astype(np.uint16))
    elif mode == "F":
        image = Image.fromarray((1 - ink) * 255)
    elif mode in ("black RGB", "white RGB", "white L"):  # also where transparent
        image = Image.new(mode.split()[1], ink.shape[::-1], mode.split()[0])
        image.putalpha(to_image(ink))
    elif mode == "clear P":  # black inks from transparent to opaque
        image = Image.fromarray((ink * 15).round().astype(np.uint8))
        image.putpalette([0, 0, 0] * 16)
        options["transparency"] = bytes(range(0, 256, 17))
    else:
        image = to_image(1 - ink).convert("RGB")
        image = image.convert(mode, None, Image.Dither.NONE, Image.Palette.ADAPTIVE, 16)
    return save(image, suffix, **options)


photo = partial(partial, photograph)  # photo(...) is photograph with options
scanned, mode = partial(partial, scan), partial(partial, encode)

KINDS: dict[str, Callable[[np.ndarray, Generator], File | None]] = {
    "photo_plain": photo(),
    "photo_shadow": photo(light=shadow),
    "photo_grey_paper": photo(papers=GREY),
    "photo_coloured_paper": photo(papers=COLOURED),
    "photo_ruled": photo(things=rule, pen=(0.03, 0.1)),
    "photo_ball_pen": photo(pen=(0.02, 0.06)),
    "photo_thin_pen": photo(side=(1500, 2000), tall=(0.08, 0.2), pen=(2, 3.5)),
    "photo_12_mp": photo(side=(3000, 3000), tall=(0.06, 0.4), pen=(4, 12)),
    "photo_marker": photo(pen=(0.13, 0.18)),
    "photo_blurry": photo(defocus=(0.015, 0.05)),
    "photo_chalk": photo(papers=BOARD, inks=CHALK, grain=0.3, things=smudge),
    "photo_pencil": photo(pen=(0.025, 0.07), opacity=(0.35, 0.55), grain=0.2),
    "photo_coloured_ink": photo(papers=[*WHITE, COLOURED[0]], inks=BRIGHT_INK),
    "photo_specks": photo(things=speckle),
    "photo_exif": photo(sideways=True),
    "photo_edge": photo(things=add_desk),
    "photo_form": photo(tall=(0.1, 0.4), things=print_form),
    "photo_card": photo(tall=(0.1, 0.4), things=lay_on_desk),
    "photo_tiny_digit": photo(side=(1200, 2200), tall=(0.04, 0.06)),
    "photo_dark": photo(exposure=0.35, noise=(4, 9)),
    "photo_noisy": photo(exposure=0.25, noise=(8, 14)),
    "photo_filling": photo(tall=(0.7, 0.85)),
    "photo_screen": photo(papers=SCREEN, inks=CHALK),
    "scan_mnist": scan_mnist,
    "scan_clean": scanned(),
    "scan_white_on_black": scanned(white_ink=1, side=(28, 800)),
    "scan_off_centre_28": scan_off_centre,
    "scan_half_size": scanned(white_ink=0.5, side=(28, 120), tall=(0.36, 0.4)),
    "scan_paint": scan_paint,
    "scan_wide": scanned(side=(100, 300), stretch=(3, 8)),
    "scan_tall": scanned(side=(600, 1500), tall=(0.1, 0.2), stretch=(0.15, 0.3)),
    "scan_touching": scan_touching,
    "scan_touching_white": partial(scan_touching, white=True),
    "mode_1_bit": mode(mode="1"),
    "mode_16_bit": mode(mode="I;16"),
    "mode_rgba_black": mode(mode="black RGB"),
    "mode_rgba_white": mode(mode="white RGB"),
    "mode_la_white": mode(mode="white L"),
    "mode_la_opaque": mode(mode="LA"),
    "mode_palette_transparent": mode(mode="clear P"),
    "mode_cmyk_jpeg": mode(mode="CMYK", suffix=".jpg"),
    "mode_float_255": mode(mode="F", suffix=".tif"),
    "mode_gif": mode(mode="P", suffix=".gif"),
    "mode_webp": mode(mode="RGB", suffix=".webp", quality=60),
    "mode_bad_jpeg": mode(mode="L", suffix=".jpg", quality=20),
    "font_scan": scanned(),
    "font_photo": photo(),
    "uci_scan": scanned(side=(160, 400)),
    "uci_photo": photo(),
}
SLOW = ("photo_12_mp", "photo_thin_pen")  # a quarter of the pictures will do


@cache
def font_digits() -> Digits:
    """Draw the ten digits in each of the fonts that are installed."""
    images = []
    for path in sorted(Path("/usr/share/fonts").rglob("*.[ot]tf")):
        if FONTS.match(path.name):
            font = ImageFont.truetype(path, 200)
            for label in range(10):
                image = Image.new("L", (400, 400))
                ImageDraw.Draw(image).text((100, 50), str(label), 255, font)
                images.append(np.asarray(image))
    return images, [i % 10 for i in range(len(images))]


@cache
def uci_digits() -> Digits:
    """Load the 8x8 digits that come with scikit-learn, if it does, and enlarge them."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        return [], []
    digits = load_digits()
    padded = (np.pad(pixels / 16, 1) for pixels in digits.images)
    images = [np.asarray(to_image(p).resize((200, 200))) for p in padded]
    return images, digits.target.tolist()


def make_files(
    kind: str, mnist: Digits, count: int, seed: int
) -> Iterator[tuple[bytes, str, int]]:
    """Make files of one kind: the contents, the suffix and the digit of each.

    Each kind draws its own digits, so that one hard digit does not spoil them all.
    """
    sources = {"font": font_digits, "uci": uci_digits}
    images, labels = sources.get(kind.split("_")[0], lambda: mnist)()
    rng = np.random.default_rng([seed, zlib.crc32(kind.encode())])
    while count > 0 and len(images) > 0:
        chosen = rng.integers(len(images))
        file = KINDS[kind](images[chosen], rng)
        if file is not None:
            yield *file, int(labels[chosen])
            count -= 1


def read(model: ConvNet, path: Path) -> tuple[np.ndarray, int | None]:
    """Return what the network sees of a file, and the digit; None if demo.py can't."""
    try:
        pixels, _, probabilities = demo.classify(model, demo.read_grey(path))
    except ValueError:
        return np.zeros((28, 28), np.uint8), None
    return pixels, int(np.argmax(probabilities))


def draw_pair(data: bytes, pixels: np.ndarray, text: str) -> Image.Image:
    """Draw a file, on grey where it is transparent, beside what the network sees."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if image.mode[0] in "IF":
        image = to_image(np.asarray(image) / np.max(image))
    image = ImageOps.contain(image.convert("RGBA"), (124, 84))
    pair = Image.new("RGB", (216, 100), "grey")
    pair.paste(image, (0, 0), image)
    pair.paste(Image.fromarray(pixels).resize((84, 84)), (126, 0))
    ImageDraw.Draw(pair).text((4, 86), text, "white")
    return pair


def measure(
    kinds: list[str], mnist: Digits, model: ConvNet, count: int, seed: int
) -> Image.Image:
    """Print how many files of each kind are read rightly; return a sheet of some."""
    groups, total = {}, 0
    sheet = Image.new("RGB", (160 + SHOWN * 220, 104 * len(kinds)), "white")
    with tempfile.TemporaryDirectory() as folder:
        for row, kind in enumerate(kinds):
            ImageDraw.Draw(sheet).text((4, 104 * row + 40), kind, "black")
            number = -(-count // 4) if kind in SLOW else count
            right = []
            for data, suffix, label in make_files(kind, mnist, number, seed):
                path = Path(folder, f"digit{suffix}")
                path.write_bytes(data)
                pixels, digit = read(model, path)
                if len(right) < SHOWN:
                    pair = draw_pair(data, pixels, f"{label}, read as {digit}")
                    sheet.paste(pair, (160 + 220 * len(right), 104 * row))
                right.append(digit == label)
            if not right:
                print(f"{kind:24}  skipped, no such digits here", flush=True)
                continue
            groups.setdefault(kind.split("_")[0], []).append(100 * np.mean(right))
            total += len(right)
            print(
                f"{kind:24} {100 * np.mean(right):5.1f} %  of {len(right)}", flush=True
            )
    for name, percents in groups.items():
        print(f"{name:24} {np.mean(percents):5.1f} %  mean of {len(percents)} kinds")
    print(f"{total} pictures")
    return sheet


def main(argv: list[str] | None = None) -> None:
    """Read the command line, measure the kinds, write the sheet."""
    parser = argparse.ArgumentParser(
        description="Measure how well demo.py reads pictures of digits.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="such as photo_plain")
    parser.add_argument("--model", type=Path, default=ROOT / WEIGHTS_FILE)
    parser.add_argument("--count", type=int, default=40, help="pictures of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", choices=["t10k", "train"], default="t10k")
    parser.add_argument("--sheet", type=Path, help="PNG file to show some of them")
    args = parser.parse_args(argv)
    if unknown := sorted(set(args.kinds) - KINDS.keys()):
        parser.error(f"no kind {unknown[0]!r}, choose from: {', '.join(KINDS)}")
    try:
        if args.sheet:
            check_writable(args.sheet)
        model = demo.load_model(args.model)
        images, labels = train.load_mnist(ROOT / "data")[args.split == "t10k"]
    except (OSError, ValueError) as error:
        sys.exit(f"photos.py: {error}")
    mnist = images.numpy(), labels.numpy()
    sheet = measure(args.kinds or list(KINDS), mnist, model, args.count, args.seed)
    if args.sheet:
        replace_file(args.sheet, encode_png(sheet))


if __name__ == "__main__":
    main()
