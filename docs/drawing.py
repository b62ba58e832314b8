"""Draw pictures of digits on paper, of many kinds, from MNIST's images.

    rng = np.random.default_rng(0)
    picture = draw_picture(images[0].numpy(), "pencil", rng)

An image of MNIST, `digit`, is (28, 28) uint8, white on black. These are no photographs,
but they fail in some of the ways in which photographs do.
"""

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter, ImageOps

PAPER = ["plain", "hard shadow", "soft shadow", "ruled", "ball pen", "pencil"]
CAMERA = ["blurred", "dark and noisy", "chalk on a board", "sheet on a desk"]
SCREEN = ["scan", "turned scan", "white on black", "dark square"]
CUT = ["cut out at its box", "cut out and enlarged", "cut out and stretched"]
KINDS = PAPER + CAMERA + SCREEN + CUT
SIZE = 400  # of a page, in pixels


def draw_picture(digit: np.ndarray, kind: str, rng: Generator) -> np.ndarray:
    """Draw a picture (H, W) uint8 of a digit; `kind` is one of KINDS."""
    if kind in CUT:
        return cut_out(digit, kind)

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


def cut_out(digit: np.ndarray, kind: str) -> np.ndarray:
    """Cut a digit out at its bounding box; returns (H, W) uint8."""
    image = Image.fromarray(digit)
    image = image.crop(image.getbbox())
    if kind == "cut out and enlarged":
        image = ImageOps.invert(ImageOps.scale(image, 10))
    if kind == "cut out and stretched":
        image = image.resize((28, 28), Image.Resampling.BILINEAR)
    return np.asarray(image)


def draw_page(digit: np.ndarray, kind: str, rng: Generator) -> np.ndarray:
    """Draw a digit on paper, evenly lit: (SIZE, SIZE) float32 in [0, 1]."""
    is_scan = kind in ("scan", "turned scan")
    is_sheet = kind == "sheet on a desk"

    height = int(SIZE * rng.uniform(0.3, 0.8))
    if is_sheet:
        height = int(SIZE * rng.uniform(0.3, 0.5))
    ink = draw_ink(digit, height, rng, is_thin=kind in ("ball pen", "pencil", "ruled"))

    rows, columns = ink.shape
    top = int(rng.uniform(0.06 * SIZE, 0.94 * SIZE - rows))
    left = int(rng.uniform(0.06 * SIZE, 0.94 * SIZE - columns))
    if is_scan:
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
    if not is_scan:
        ink = ink * (1 - 0.15 * blur(rng.uniform(size=ink.shape), 1))  # its grain
    page[top : top + rows, left : left + columns] *= 1 - strength * ink

    if is_sheet:
        margin = int(rng.uniform(15, 24))
        is_desk = np.ones((SIZE, SIZE), bool)
        is_desk[top - margin : top + rows + margin, left - margin :] = False
        is_desk[:, left + columns + margin :] = True
        page[is_desk] = rng.uniform(0.05, 0.3)
    return page


def draw_ink(
    digit: np.ndarray, height: int, rng: Generator, is_thin: bool
) -> np.ndarray:
    """Draw a digit with sharp edges: (H, W) float32, 1 is ink, H at most `height`."""
    image = Image.fromarray(digit).resize((height, height), Image.Resampling.BICUBIC)
    image = image.rotate(rng.uniform(-6, 6), Image.Resampling.BICUBIC)

    edges = blur(np.float32(image) / 255, height / 60)
    ink = ((edges - 0.47) * height / 15 + 0.5).clip(0, 1)

    if is_thin:  # erosion makes the strokes thinner
        thin = Image.fromarray(np.uint8(255 * ink))
        for _ in range(max(1, round(height * 0.01))):
            thin = thin.filter(ImageFilter.MinFilter(3))
        ink = np.float32(thin) / 255

    left, top, right, bottom = Image.fromarray(ink > 0.5).getbbox()
    return ink[top:bottom, left:right]


def photograph(page: np.ndarray, kind: str, rng: Generator) -> np.ndarray:
    """Take a photograph (H, W) uint8 of a page in [0, 1]: light, blur, noise."""
    height, width = page.shape
    y, x = np.mgrid[:height, :width] / SIZE
    page = page * (1 - rng.uniform(0, 0.3) * (x if rng.random() < 0.5 else y))
    if kind == "hard shadow":
        page = page * draw_shadow(rng, edge=rng.uniform(0, 0.02))
    if kind == "soft shadow":
        page = page * draw_shadow(rng, edge=rng.uniform(0.05, 0.15))

    page = blur(page, rng.uniform(4, 8) if kind == "blurred" else rng.uniform(0.5, 1.5))
    is_dark = kind == "dark and noisy"
    exposure = 0.25 if is_dark else 1
    noise = rng.normal(0, 0.04 if is_dark else 0.01, page.shape)
    return np.uint8(255 * (page * exposure + noise).clip(0, 1))


def draw_shadow(rng: Generator, edge: float) -> np.ndarray:
    """Return the light (SIZE, SIZE) beside a shadow, its edge blurred by `edge`."""
    image = Image.new("L", (SIZE, SIZE))
    corners = rng.uniform(0, SIZE, (3, 2))
    ImageDraw.Draw(image).polygon([*map(tuple, corners)], 255)

    shadow = blur(np.float32(image) / 255, SIZE * edge)
    return 1 - rng.uniform(0.2, 0.45) * shadow


def draw_number(digits: list[np.ndarray], rng: Generator) -> np.ndarray:
    """Draw digits side by side, black on white: (260, W) uint8."""
    page = np.zeros((260, 0), np.uint8)
    for digit in digits:
        box = Image.fromarray(cut_out(digit, "cut out at its box"))
        ink = np.asarray(ImageOps.scale(box, rng.uniform(3.5, 4.5)))
        above = (260 - len(ink)) // 2 + rng.integers(-6, 7)
        below = 260 - len(ink) - above
        space = rng.integers(8, 40)
        page = np.hstack([page, np.pad(ink, ((above, below), (space, 0)))])
    return 255 - np.pad(page, ((0, 0), (60, 80)))


def blur(values: np.ndarray, radius: float) -> np.ndarray:
    """Blur (H, W) values in [0, 1]."""
    image = Image.fromarray(np.uint8(255 * values))
    return np.float32(image.filter(ImageFilter.GaussianBlur(radius))) / 255
