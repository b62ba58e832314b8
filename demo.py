"""Classify one picture of a handwritten digit with the weights that train.py saved.

    python demo.py photo.jpg            # without a name: test/12.png of resolve.py

Draws the 28x28 pixels that the network saw, prints the three likeliest digits and,
as its last line, the digit alone. A picture like MNIST's is taken as it is; any other
is made like them: cut a desk away -> make the ink bright -> what stands out from the
paper? -> which of it is the digit? -> 20x20 pixels, brightest one 255 -> centre of
mass in the middle of 28x28 (Y. LeCun, The MNIST database; C. Yadav and L. Bottou,
arXiv 1905.10498). The numbers were tuned on tests/photos.py, with training images.
"""

import argparse
import io
import math
import os
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter, ImageOps
from torch.nn import functional as F

from model import WEIGHTS_FILE, ConvNet, choose_device, to_input
from resolve import check_writable, encode_png, replace_file

# Of MNIST's test images, 40 of 50 wrong answers and 2 % of the right ones are below.
UNSURE = 0.75
# The least share of the paper's light that is ink; below it are grain and creases.
FAINTEST = 0.15


def read_grey(path: Path) -> np.ndarray:
    """Return a picture, as a person would see it, as grey levels (H, W) uint8.

    Raises OSError if the file can't be opened, ValueError if it is no picture.
    """
    if not path.is_file():
        raise ValueError("there is no such file; python resolve.py makes test/12.png")
    data = path.read_bytes()
    try:
        with Image.open(io.BytesIO(data)) as picture:
            return to_grey(ImageOps.exif_transpose(picture))  # upright, as taken
    except Exception:  # noqa: BLE001, a broken picture may raise anything
        raise ValueError(
            "not a picture, or not all of one, or of more than 178 megapixels, "
            "save it anew"
        ) from None


def to_grey(picture: Image.Image) -> np.ndarray:
    """Turn any kind of picture into grey levels (H, W) uint8."""
    if picture.mode.startswith(("I", "F")):  # 16 bits or more, of unknown range
        levels = np.nan_to_num(np.asarray(picture, np.float64), posinf=0, neginf=0)
        return np.uint8((levels - levels.min()) * (255 / max(np.ptp(levels), 1e-9)))
    if not picture.has_transparency_data:
        return np.asarray(picture.convert("L"))
    grey, alpha = picture.convert("RGBA").convert("LA").split()
    # Lay what is transparent on the ground on which the rest can be seen.
    visible = np.average(grey, weights=np.asarray(alpha) + 1e-9)
    ground = Image.new("L", grey.size, 255 if visible < 128 else 0)
    return np.asarray(Image.composite(grey, ground, alpha))


def is_like_mnist(grey: np.ndarray) -> bool:
    """Tell whether a picture is as MNIST's are: 28x28, on black, fitted, centred."""
    if grey.shape != (28, 28) or not grey.any():
        return False
    places = np.nonzero(grey)
    longest = 1 + np.ptp(places, axis=1).max()
    centre = np.average(places, axis=1, weights=grey[places])
    # Within these limits are all of MNIST's 70,000.
    return longest in (19, 20) and bool(abs(centre - 14).max() < 0.6)


def dilate(pixels: np.ndarray, reach: int) -> np.ndarray:
    """Give each pixel the largest value within `reach` pixels; (H, W) float32."""
    values = torch.tensor(pixels, dtype=torch.float32)[None]
    for kernel in [(2 * reach + 1, 1), (1, 2 * reach + 1)]:  # its column, then its row
        values = F.max_pool2d(values, kernel, 1, [n // 2 for n in kernel])
    return values[0].numpy()


def label_components(mask: np.ndarray) -> np.ndarray:
    """Number the 8-connected parts of `mask`, (H, W) int; 0 is outside."""
    labels = np.arange(1, mask.size + 1).reshape(mask.shape) * mask
    while True:
        spread = np.int64(dilate(labels, 1))
        # Label n began at pixel n - 1. What is there by now comes at once, from afar.
        spread = spread.take(spread - 1) * mask
        if np.array_equal(spread, labels):
            return labels
        labels = spread


def corners(mask: np.ndarray) -> np.ndarray:
    """Return the box of all that is True: [[left, top], [right, bottom]], (2, 2)."""
    return np.reshape(Image.fromarray(mask).getbbox(), (2, 2))


def crop_to_sheet(grey: np.ndarray) -> np.ndarray:
    """Cut away the desk around a sheet of paper, if the picture (H, W) uint8 shows one.

    A sheet is twice as bright as the desk and fills its box; a digit is all strokes.
    """
    k = math.ceil(max(grey.shape) / 64)
    small = np.asarray(Image.fromarray(grey).reduce(k))
    bright = small >= small.max() / 2
    labels = label_components(bright)
    sheet = labels == np.bincount(labels[bright]).argmax()  # the largest part
    low, high = corners(sheet)
    width, height = high - low
    fills = sheet.sum() > 0.7 * width * height and 1 / 4 < width / height < 4
    sides = (low > 0).sum() + (high < small.shape[::-1]).sum()  # on which the desk is
    if not fills or sides < 2 or sheet.sum() < 0.9 * bright.sum():
        return grey  # a digit (a 1 is narrower), a shadow, or the hole of a 0
    (left, top), (right, bottom) = k * low, k * high
    return grey[top:bottom, left:right]


def with_bright_ink(grey: np.ndarray) -> np.ndarray:
    """Return the picture (H, W) uint8 with its ink brighter than its paper.

    Paper is what most of the surroundings are like, their median, and ink is what
    differs from it the most. As logarithms, a shadow of half the light differs less.
    """
    small = Image.fromarray(grey).resize((48, 48), Image.Resampling.BOX)
    levels = np.log(np.asarray(small, np.float32) + 16)  # 16: little noise in the dark
    # Beyond its edges the picture fades: a desk there, or ink, does not go on for ever.
    faded = np.pad(levels, 24, mode="linear_ramp", end_values=levels.mean())
    # Around each pixel, 49x49 others, as many as the picture has: (48, 48, 49, 49).
    surroundings = np.lib.stride_tricks.sliding_window_view(faded, (49, 49))
    difference = levels - np.median(surroundings, axis=(2, 3))
    return grey if difference.max() > -difference.min() else 255 - grey


def reduce(pixels: np.ndarray, longest: int) -> tuple[np.ndarray, int]:
    """Make a picture (H, W) uint8 at most `longest` pixels high and wide.

    Of each k x k pixels the brightest remains, so that thin lines do not fade. Returns
    the picture and k.
    """
    k = math.ceil(max(pixels.shape) / longest)
    return F.max_pool2d(torch.tensor(pixels)[None], k, ceil_mode=True)[0].numpy(), k


def find_ink(pixels: np.ndarray) -> np.ndarray:
    """Return how much each pixel stands out from its paper, (H, W) float32 in [0, 1].

    Paper is what remains when all that is bright and narrow, below a third of the
    picture, has been worn away and the rest has grown again. It follows light and
    shadow, and ink takes the same share of its light in both. That is 255 - paper, as
    dark ink was made bright, but at least 100: noise in the dark is not strong ink.
    """
    reach = max(pixels.shape) // 6
    worn = -dilate(-np.float32(pixels), reach)
    paper = dilate(worn, reach)
    return (pixels - paper) / np.maximum(255 - paper, 100)


def score_part(part: np.ndarray, length: int, ink: np.ndarray) -> float:
    """Return how much a part (H, W) bool of the ink is like a digit, 0: not at all.

    A digit is long and strong. A desk or a shadow lies along the edge.
    """
    at_edge = part.sum() - part[1:-1, 1:-1].sum()
    strength = ink[part].mean() * max(0.1, 1 - at_edge / length)
    return length * strength**4 if strength > FAINTEST / 3 else 0.0


def find_digit(ink: np.ndarray, share: float) -> tuple[np.ndarray, int]:
    """Return where the digit is, (H, W) bool, and how many other digits there may be.

    Only pixels with more than `share` of the strongest ink count. Raises ValueError
    where no ink is.
    """
    labels = label_components(ink > max(FAINTEST, share * ink.max()))
    parts = [labels == n for n in np.unique(labels)[1:]]
    boxes = np.reshape([corners(part) for part in parts], (-1, 2, 2))
    low, high = boxes[:, 0], boxes[:, 1]
    size = high - low
    length = size.max(axis=1)
    scores = np.array([score_part(p, n, ink) for p, n in zip(parts, length)])
    if not scores.any():
        raise ValueError("nothing to read, no ink stands out from the paper")
    # within[i, j]: part i has j in its box. If j is large, i is a frame or a table.
    within = (low[:, None] < low).all(axis=2) & (high < high[:, None]).all(axis=2)
    large = length * (scores > 0) > 0.35 * size.min(axis=1)[:, None]
    scores[(within & large).any(axis=1)] = 0
    before, digit = None, np.arange(len(scores)) == scores.argmax()
    while not np.array_equal(before, digit):  # it grows by the parts near to it
        before = digit
        start, end = low[digit].min(axis=0), high[digit].max(axis=0)
        gap = np.maximum(low - end, start - high).max(axis=1)  # below 0: they overlap
        near = gap <= 0.2 * (end - start).max()
        digit = near & (scores >= 0.1 * scores.max())  # the bar of a 5, and no speck
    others = np.count_nonzero(~near & (scores > 0.5 * scores.max()))
    return np.any([part for part, is_in in zip(parts, digit) if is_in], axis=0), others


def fit(ink: np.ndarray) -> np.ndarray:
    """Scale to 20 pixels, brightest 255, centre of mass in the middle of 28x28."""
    image = Image.fromarray(ink)
    image = image.crop(image.getbbox())
    size = [max(1, round(n * 20 / max(image.size))) for n in image.size]
    small = np.asarray(image.resize(size, Image.Resampling.BICUBIC))
    small = np.uint8(small.clip(0) / small.max() * 255 + 0.5)
    places = np.nonzero(small)
    centre = np.average(places, axis=1, weights=small[places])
    room = 28 - np.array(small.shape)
    before = np.int64(np.clip(np.round(14 - centre), 0, room))
    return np.pad(small, np.stack([before, room - before], axis=1))


def prepare(grey: np.ndarray) -> tuple[np.ndarray, int]:
    """Turn a picture (H, W) uint8 into one as MNIST's are.

    Returns that, (28, 28) uint8, and how many other digits there may be. Raises
    ValueError where no ink is.
    """
    if is_like_mnist(grey):
        return grey, 0
    if max(grey.shape) <= 24:  # its strokes are too narrow for what follows
        scale = 64 // max(grey.shape)
        grey = np.asarray(ImageOps.scale(Image.fromarray(grey), scale))  # bicubic
    picture = with_bright_ink(crop_to_sheet(grey))
    # A ruled line or a shadow is mostly fainter than 60 % of the ink: it is not found.
    small, k = reduce(picture, 128)
    mask, others = find_digit(find_ink(small), 0.6)
    # Look again from near by: at more pixels, and with the paper around the digit only.
    low, high = corners(mask)
    margin = int(0.3 * (high - low).max())
    (left, top), (right, bottom) = k * (low - margin).clip(0), k * (high + margin)
    near = Image.fromarray(reduce(picture[top:bottom, left:right], 128)[0])
    ink = find_ink(np.asarray(near.filter(ImageFilter.SMOOTH)))  # less noise
    mask, _ = find_digit(ink, 0.35)  # faint parts, too
    return fit(np.where(mask, ink, 0)), others


def load_model(path: Path) -> ConvNet:
    """Return the network with the weights of `path`, on the CPU, ready to classify.

    Raises ValueError for a file that does not hold the weights of this network.
    """
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file, run: python train.py")
    model = ConvNet().eval()
    try:
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        # torch.load looks at no checksum; a NaN among the weights reaches the logits.
        damaged = zipfile.is_zipfile(path) and zipfile.ZipFile(path).testzip()
        if damaged or not model(torch.ones(1, 1, 28, 28)).isfinite().all():
            raise ValueError
    except Exception:  # noqa: BLE001, a broken file may raise anything
        fault = "no weights of this network, run: python train.py"
        raise ValueError(f"{path}: {fault}") from None
    return model


def classify(model: ConvNet, grey: np.ndarray) -> tuple[np.ndarray, int, list[float]]:
    """Classify a picture (H, W) uint8.

    Returns what the network saw, (28, 28) uint8; how many other digits there may be;
    and the probabilities of 0 to 9. Raises ValueError where no ink is.
    """
    pixels, others = prepare(grey)
    images = to_input(torch.tensor(pixels[None])).to(model.fc.weight.device)
    with torch.inference_mode():
        probabilities = model(images).softmax(1)
    return pixels, others, probabilities[0].tolist()


def draw(pixels: np.ndarray) -> str:
    """Draw (H, W) uint8 grey levels with characters, two for each pixel."""
    rows = ("".join(2 * " .:-=+*#%@"[level // 26] for level in row) for row in pixels)
    return "\n".join(rows)


def main(argv: list[str] | None = None) -> None:
    """Load the weights and the picture, prepare and classify it, print the digit."""
    parser = argparse.ArgumentParser(
        description="Classify one picture of a handwritten digit.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("image", nargs="?", type=Path, default="test/12.png")
    parser.add_argument("--model", type=Path, default=WEIGHTS_FILE, help="weights")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:1")
    parser.add_argument("--save-input", type=Path, help="PNG file for the 28x28 pixels")
    args = parser.parse_args(argv)
    inputs = (os.path.realpath(args.image), os.path.realpath(args.model))
    if args.save_input and os.path.realpath(args.save_input) in inputs:
        parser.error(f"--save-input would overwrite {args.save_input}")
    warnings.simplefilter("ignore")  # of Pillow and torch, about odd files
    try:
        device = choose_device(args.device)
        if args.save_input:
            check_writable(args.save_input)
        model = load_model(args.model).to(device)
        print(f"Loaded the weights of {args.model}")
        try:
            pixels, others, probabilities = classify(model, read_grey(args.image))
        except ValueError as error:
            raise ValueError(f"{args.image}: {error}") from None
        if args.save_input:
            replace_file(args.save_input, encode_png(Image.fromarray(pixels)))
        likeliest = sorted(range(10), key=lambda d: probabilities[d], reverse=True)
        print(draw(pixels))
        for digit in likeliest[:3]:
            print(f"{digit}: {probabilities[digit]:.1%}")
        if others:
            print("demo.py: several digits seem to be there", file=sys.stderr)
        if max(probabilities) < UNSURE:
            print("demo.py: this answer is unsure", file=sys.stderr)
        print(likeliest[0], flush=True)
    except (OSError, ValueError) as error:
        sys.exit(f"demo.py: {error}")
    except KeyboardInterrupt:
        sys.exit("demo.py: stopped")


if __name__ == "__main__":
    main()
