"""Classify one picture of a handwritten digit with the weights that train.py saved.

    python demo.py photo.jpg            # without a name: test/12.png of resolve.py

Draws the 28x28 pixels that the network saw, prints the three likeliest digits and,
as its last line, the digit alone. A picture like MNIST's is taken as it is; any other
is made like them: what is ink, and not paper? which of it is the digit? -> 20x20
pixels -> brightest one 255 -> centre of mass in the middle of 28x28
(Y. LeCun, The MNIST database; C. Yadav and L. Bottou, arXiv 1905.10498).
"""

import argparse
import contextlib
import io
import os
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter, ImageOps

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
        return np.asarray(picture.convert("RGB").convert("L"))
    grey, alpha = picture.convert("RGBA").convert("LA").split()
    solid = np.asarray(grey)[np.asarray(alpha) == 255]
    if solid.size and np.ptp(solid) > 127:  # a sheet with ink on it: more of that sheet
        ground = int(np.median(solid))
    else:  # ink alone: a ground on which it can be seen
        visible = np.average(grey, weights=np.asarray(alpha) + 1e-9)
        ground = 255 if visible < 128 else 0
    return np.asarray(Image.composite(grey, Image.new("L", grey.size, ground), alpha))


def is_like_mnist(grey: np.ndarray) -> bool:
    """Tell whether a picture is as MNIST's are: 28x28, on black, fitted, centred."""
    if grey.shape != (28, 28) or not grey.any():
        return False
    places = np.nonzero(grey)
    longest = 1 + np.ptp(places, axis=1).max()
    centre = np.average(places, axis=1, weights=grey[places])
    # Within these limits are all of MNIST's 70,000.
    return longest in (19, 20) and bool(abs(centre - 14).max() < 0.6)


def reduce(pixels: np.ndarray, longest: int) -> tuple[np.ndarray, int]:
    """Make a picture (H, W) at most `longest` pixels high and wide.

    Of each k x k pixels the brightest remains, so that thin lines do not fade. Returns
    the picture and k.
    """
    k = -(-max(pixels.shape) // longest)  # rounded up
    padded = np.pad(pixels, [(0, -n % k) for n in pixels.shape], mode="edge")
    height, width = padded.shape
    return padded.reshape(height // k, k, width // k, k).max(axis=(1, 3)), k


def with_bright_ink(grey: np.ndarray) -> list[np.ndarray]:
    """Return the picture with its ink brighter than its paper; both if it is unclear.

    Paper is what most of the surroundings are like, their median. Little differs from
    it strongly, and that is ink: third powers let the strong differences win, and keep
    their sign. As logarithms, a shadow of half the light differs less than ink does.
    """
    small = Image.fromarray(grey).resize((48, 48), Image.Resampling.BOX)
    padded = Image.fromarray(np.pad(small, 9, mode="mean"))  # more of the same paper
    paper = padded.filter(ImageFilter.MedianFilter(19))
    levels, paper_levels = (np.log(np.asarray(p) + 16.0) for p in (padded, paper))
    cubes = (levels - paper_levels) ** 3
    skewness = cubes.sum() / max(abs(cubes).sum(), 1e-9)  # 1: all is brighter, -1: none
    # In between, a sheet on a desk may outweigh the ink: then both are tried.
    return [p for p, s in [(grey, skewness), (255 - grey, -skewness)] if s > -0.6]


def find_ink(pixels: np.ndarray) -> np.ndarray:
    """Return how much each pixel stands out from its paper, (H, W) float32 in [0, 1].

    Paper is what remains when all that is bright and narrow, below a third of the
    picture, has been worn away. It follows light and shadow, and ink takes the same
    share of its light in both: 255 - paper, as dark ink is made bright before. In the
    dark, a share of 100 grey levels, as noise would otherwise be as strong as ink.
    """
    image = Image.fromarray(pixels)
    times = max(pixels.shape) // 6  # each by a pixel on all sides
    wear, grow = ImageFilter.MinFilter(3), ImageFilter.MaxFilter(3)
    for step in [wear] * times + [grow] * times:
        image = image.filter(step)
    paper = np.float32(image)
    return (pixels - paper) / np.maximum(255 - paper, 100)


def label_components(mask: np.ndarray) -> np.ndarray:
    """Number the 8-connected parts of `mask`, (H, W) int; 0 is outside."""
    labels = np.where(mask, 1 + np.arange(mask.size).reshape(mask.shape), 0)
    while True:
        image = Image.fromarray(np.int32(labels))
        spread = np.asarray(image.filter(ImageFilter.MaxFilter(3)))
        spread = np.where(mask, spread.ravel()[spread - 1], 0)  # from afar: log steps
        if np.array_equal(spread, labels):
            return labels
        labels = spread


def find_digit(ink: np.ndarray, share: float) -> tuple[np.ndarray, int]:
    """Return where the digit is, (H, W) bool, and how many other digits there may be.

    All of it has more than this share of the strongest ink. Raises ValueError where no
    ink is.
    """
    labels = label_components(ink > max(FAINTEST, share * ink.max()))
    boxes, scores = {}, {}
    for n in np.unique(labels[labels > 0]):
        part = labels == n
        boxes[n] = low, high = np.reshape(Image.fromarray(part).getbbox(), (2, 2))
        length = max(high - low)
        # The digit is long and dark. A desk or a shadow lies along the edge.
        at_edge = part.sum() - part[1:-1, 1:-1].sum()
        darkness = ink[part].mean() * max(0.1, 1 - at_edge / length)
        if darkness > FAINTEST / 3:
            scores[n] = length * darkness**4
    if not scores:
        raise ValueError("no ink")
    best = max(scores, key=scores.get)
    low, high = boxes[best]
    parts, others = [], 0

    def distance(n: int) -> int:  # of a part from the digit; below 0: they overlap
        return max(*(boxes[n][0] - high), *(low - boxes[n][1]))

    for n in sorted(scores, key=distance):  # the nearest first, and the digit grows
        if distance(n) > 0.2 * max(high - low):
            others += scores[n] > 0.5 * scores[best]
        elif scores[n] >= 0.1 * scores[best]:  # the bar of a 5, and no speck
            parts.append(n)
            low, high = np.minimum(low, boxes[n][0]), np.maximum(high, boxes[n][1])
    return np.isin(labels, parts), others


def fit(ink: np.ndarray) -> np.ndarray:
    """Scale to 20 pixels, brightest 255, centre of mass in the middle of 28x28."""
    image = Image.fromarray(ink)
    image = image.crop(image.getbbox())
    size = [max(1, round(n * 20 / max(image.size))) for n in image.size]
    small = np.asarray(image.resize(size, Image.Resampling.BICUBIC))
    small = np.uint8(np.clip(small / small.max(), 0, 1) * 255 + 0.5)
    places = np.nonzero(small)
    centre = np.average(places, axis=1, weights=small[places])
    room = 28 - np.array(small.shape)
    before = np.int64(np.clip(np.round(14 - centre), 0, room))
    return np.pad(small, np.stack([before, room - before], axis=1))


def cut_out(picture: np.ndarray) -> tuple[np.ndarray, int]:
    """Find the bright digit in a picture (H, W) uint8 and make it one like MNIST's.

    Returns that, (28, 28) uint8, and how many other digits there may be. Raises
    ValueError where no ink is.
    """
    # A ruled line or a shadow is mostly fainter than 60 % of the ink: it is not found.
    small, k = reduce(picture, 128)
    mask, others = find_digit(find_ink(small), 0.6)
    # Look again from near by: at more pixels, and with the paper around the digit only.
    low, high = np.reshape(Image.fromarray(mask).getbbox(), (2, 2))
    margin = int(0.3 * max(high - low))
    (left, top), (right, bottom) = k * (low - margin).clip(0), k * (high + margin)
    near = Image.fromarray(reduce(picture[top:bottom, left:right], 128)[0])
    ink = find_ink(np.asarray(near.filter(ImageFilter.SMOOTH)))  # less noise
    mask, _ = find_digit(ink / max(ink.max(), 1e-9), 0.35)  # faint parts, too
    return fit(np.where(mask, ink, 0)), others


def prepare(grey: np.ndarray) -> list[tuple[np.ndarray, int]]:
    """Turn a picture (H, W) uint8 into one as MNIST's are, or two to choose from.

    Each is (28, 28) uint8, with how many other digits there may be. Raises ValueError
    where no ink is.
    """
    if is_like_mnist(grey):
        return [(grey, 0)]
    found = []
    for picture in with_bright_ink(grey):
        with contextlib.suppress(ValueError):
            found.append(cut_out(picture))
    if not found:
        raise ValueError("nothing to read, no ink stands out from the paper")
    return found


def load_model(path: Path) -> ConvNet:
    """Return the network with the weights of `path`, on the CPU, ready to classify.

    Raises ValueError for a file that does not hold the weights of this network.
    """
    model = ConvNet().eval()
    try:
        if zipfile.is_zipfile(path) and zipfile.ZipFile(path).testzip():
            raise ValueError("wrong checksum, which torch.load does not look at")
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        if not model(torch.zeros(1, 1, 28, 28)).isfinite().all():
            raise ValueError("weights that are no numbers")
        return model
    except FileNotFoundError:
        fault = "no such file"
    except Exception:  # noqa: BLE001, a broken file may raise anything
        fault = "no weights of this network"
    raise ValueError(f"{path}: {fault}, run: python train.py")


def classify(model: ConvNet, grey: np.ndarray) -> tuple[np.ndarray, int, list[float]]:
    """Classify a picture (H, W) uint8.

    Returns what the network saw, (28, 28) uint8; how many other digits there may be;
    and the probabilities of 0 to 9. Of two ways to see the picture it takes the one of
    which the network is surer. Raises ValueError where no ink is.
    """
    readings = prepare(grey)
    inputs = to_input(torch.tensor(np.array([pixels for pixels, _ in readings])))
    with torch.inference_mode():
        probabilities = model(inputs.to(model.fc.weight.device)).softmax(1)
    best = probabilities.amax(1).argmax().item()
    return *readings[best], probabilities[best].tolist()


def draw(pixels: np.ndarray) -> str:
    """Draw (H, W) uint8 grey levels with characters, two for each pixel."""
    characters = np.array(list(" .:-=+*#%@"))
    return "\n".join("".join(row) for row in characters[pixels // 26].repeat(2, axis=1))


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
        model = load_model(args.model).to(device)
        print(f"Loaded the weights of {args.model}")
        try:
            pixels, others, probabilities = classify(model, read_grey(args.image))
        except ValueError as error:
            raise ValueError(f"{args.image}: {error}") from None
        if args.save_input:
            check_writable(args.save_input)
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
