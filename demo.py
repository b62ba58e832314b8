"""Classify one picture of a handwritten digit with the weights that train.py saved.

    python demo.py photo.jpg

Draws the 28x28 pixels that the network saw, prints the three most likely digits and, as
its last line, the digit alone. Without a name it takes test/12.png, which resolve.py
writes. How a picture becomes these pixels: prepare.py.
"""

import argparse
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from model import WEIGHTS_FILE, ConvNet, choose_device
from prepare import NoInk, prepare

EXAMPLE = Path("test/12.png")  # resolve.py writes it
LARGEST = (2000, 2000)  # pixels; more would only take time and memory
SHADES = " .:-=+*#%@"  # from black to white
UNSURE = 0.75  # on real pictures 9 in 10 mistakes are less certain, 3% of the rest

Image.MAX_IMAGE_PIXELS = 250_000_000  # phones take photographs of 200 megapixels


def load_model(path: Path | str) -> ConvNet:
    """Return the network with the weights of `path`, on the CPU, ready to classify."""
    model = ConvNet()
    weights = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict(weights)
    return model.eval()


def open_picture(path: Path | str) -> Image.Image:
    """Return a picture of any kind, upright, with at most 2000 pixels on a side."""
    with Image.open(path) as picture:
        picture.draft(None, LARGEST)  # shrinks a JPEG while it is read
        picture.load()  # here a damaged file fails, with Pillow's own words
        picture.thumbnail(LARGEST, reducing_gap=None)  # the default fails on 16 bits
        with suppress(Exception):  # a broken EXIF block
            ImageOps.exif_transpose(picture, in_place=True)
    return picture


def to_grey(picture: Image.Image) -> torch.Tensor:
    """Return a picture as (H, W) float32, from 0 for black to 1 for white."""
    if picture.mode.startswith(("I", "F")):  # 16 or 32 bits, of an unknown range
        levels = np.nan_to_num(np.asarray(picture, np.float32), posinf=0).clip(0)
        return torch.from_numpy(levels / (levels.max() or 1))
    if picture.has_transparency_data:
        picture = on_background(picture)
    return torch.tensor(np.asarray(picture.convert("L"))) / 255


def on_background(picture: Image.Image) -> Image.Image:
    """Put a transparent picture on white, or on black if it is a bright drawing.

    What covers more than half of the picture is paper, not a drawing.
    """
    grey, alpha = picture.convert("RGBA").convert("LA").split()
    drawn = np.asarray(alpha) > 0
    is_drawing = drawn.mean() < 0.5
    is_bright = (np.asarray(grey) * drawn).sum() > 127 * drawn.sum()
    background = 0 if is_drawing and is_bright else 255
    return Image.composite(grey, Image.new("L", picture.size, background), alpha)


@torch.inference_mode()  # no autograd bookkeeping
def classify(model: ConvNet, pixels: torch.Tensor) -> torch.Tensor:
    """Return the probabilities (10,) of the digits in one picture (28, 28)."""
    logits = model(pixels[None, None])  # the input: (1, 1, 28, 28)
    return logits.softmax(1)[0]


def read_digit(
    model: ConvNet, picture: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
    """Read one picture (H, W) in [0, 1] with a network on any device.

    Returns what the network saw (28, 28), the probabilities (10,), and the doubts about
    them as sentences. Raises NoInk if there is nothing to read.
    """
    pixels, doubts = prepare(picture)
    device = next(model.parameters()).device
    probabilities = classify(model, pixels.to(device)).cpu()

    if not probabilities.max() >= UNSURE:  # in these words, nan is unsure, too
        doubts.append("unsure: is the picture above your digit, alone?")
    return pixels, probabilities, doubts


def main(argv: list[str] | None = None) -> None:
    """Prepare the picture, ask the network, print the digit."""
    parser = argparse.ArgumentParser(
        description="Classify one picture of a handwritten digit.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("image", nargs="?", type=Path, default=EXAMPLE, help="picture")
    parser.add_argument("--model", type=Path, default=WEIGHTS_FILE, help="weights")
    parser.add_argument("--device", default=choose_device(), help="cpu, cuda, ...")
    args = parser.parse_args(argv)

    if not args.model.exists():
        sys.exit(f"demo.py: there is no {args.model}: run train.py, or use --model")
    if args.image == EXAMPLE and not EXAMPLE.exists():
        sys.exit(f"demo.py: there is no {EXAMPLE}: run resolve.py, or name a picture")
    model = load_model(args.model).to(args.device)

    try:
        picture = to_grey(open_picture(args.image))
        pixels, probabilities, doubts = read_digit(model, picture)
    except UnidentifiedImageError:
        sys.exit(
            f"demo.py: {args.image} is not a picture that can be read (an iPhone's "
            "HEIC: save it as JPEG)"
        )
    except NoInk as error:
        sys.exit(f"demo.py: {args.image}: {error}")

    for row in pixels.tolist():  # as the network saw it, two characters for each pixel
        print("".join(SHADES[round(9 * level)] * 2 for level in row))

    most_likely = probabilities.topk(3).indices.tolist()
    for digit in most_likely:
        print(f"{digit}: {probabilities[digit]:.1%}")

    for doubt in doubts:
        print(f"demo.py: {doubt}", file=sys.stderr)
    print(most_likely[0])


if __name__ == "__main__":
    main()
