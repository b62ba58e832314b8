"""Classify one picture of a handwritten digit with the weights that train.py saved.

    python demo.py photo.jpg

Draws the 28x28 pixels that the network saw, prints the three likeliest digits and, as
its last line, the digit alone. Without a name it takes test/12.png, which resolve.py
writes. How a picture becomes these pixels: prepare.py.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from model import WEIGHTS_FILE, ConvNet, choose_device, to_input
from prepare import NoInk, prepare

LARGEST = (2000, 2000)  # pixels; more would only take time and memory
EXAMPLE = Path("test/12.png")
UNSURE = 0.75  # two thirds of the mistakes are less certain, and 4% of the rest

Image.MAX_IMAGE_PIXELS = 250_000_000  # phones take photographs of 200 megapixels


def read_grey(path: Path) -> np.ndarray:
    """Return a picture of any kind, upright, as grey levels (H, W) uint8.

    Raises ValueError if it cannot be read.
    """
    try:
        with Image.open(path) as picture:
            # draft shrinks a JPEG while it is read; a reducing gap fails on 16 bits.
            picture.draft(None, LARGEST)
            picture.thumbnail(LARGEST, reducing_gap=None)
            picture = ImageOps.exif_transpose(picture)
    except FileNotFoundError:
        raise ValueError(f"{path}: there is no such file") from None
    except Exception as error:  # a broken picture may raise anything
        raise ValueError(
            f"{path}: cannot be read as a picture ({error}); "
            "if it is HEIC, save it as JPEG"
        ) from error

    if picture.mode.startswith(("I", "F")):  # integers or fractions
        return fit_levels(picture)
    if picture.has_transparency_data:
        picture = on_background(picture)
    return np.asarray(picture.convert("L"))


def fit_levels(picture: Image.Image) -> np.ndarray:
    """Scale grey levels of 16 or 32 bits, whose range is unknown, to (H, W) uint8."""
    levels = np.nan_to_num(np.asarray(picture, np.float64), posinf=0).clip(0)
    return np.uint8(255 * levels / (levels.max() or 1))


def on_background(picture: Image.Image) -> Image.Image:
    """Put a transparent picture on white, or on black if its ink is bright."""
    grey, alpha = picture.convert("RGBA").convert("LA").split()
    drawn = np.asarray(grey)[np.asarray(alpha) > 0]
    background = 0 if drawn.size and drawn.mean() > 127 else 255
    return Image.composite(grey, Image.new("L", picture.size, background), alpha)


def load_model(path: Path) -> ConvNet:
    """Return the network with the weights of `path`, on the CPU, ready to classify.

    Raises ValueError for a file that does not hold the weights of this network.
    """
    model = ConvNet().eval()
    try:
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # a broken file may raise anything
        raise ValueError(
            f"{path}: cannot be loaded as weights of this network, run train.py first "
            f"({error!r:.150})"  # cut: it may have pages
        ) from error
    return model


@torch.inference_mode()
def classify(model: ConvNet, pixels: np.ndarray, device: torch.device) -> torch.Tensor:
    """Return the probabilities (10,) of the digits in a picture (28, 28) uint8."""
    images = to_input(torch.tensor(pixels[None])).to(device)
    return model.to(device)(images).softmax(1)[0].cpu()


def main(argv: list[str] | None = None) -> None:
    """Prepare the picture, load the weights, ask the network, print the digit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", nargs="?", type=Path, default=EXAMPLE)
    parser.add_argument(
        "--model", type=Path, default=WEIGHTS_FILE, help="file with the weights"
    )
    parser.add_argument("--device", help="cpu, cuda, ...; default: cuda if it works")
    args = parser.parse_args(argv)

    if args.image == EXAMPLE and not EXAMPLE.exists():
        sys.exit(f"demo.py: name a picture, or run python resolve.py for {EXAMPLE}")
    try:
        grey = read_grey(args.image)
        device = choose_device(args.device)
        model = load_model(args.model)
    except ValueError as error:
        sys.exit(f"demo.py: {error}")

    try:
        pixels, others = prepare(grey)
    except NoInk as error:
        sys.exit(f"demo.py: {args.image}: {error}")

    probabilities = classify(model, pixels, device)
    if not probabilities.isfinite().all():
        sys.exit(f"demo.py: {args.model}: damaged weights, run train.py again")

    for row in pixels:  # as the network saw it, two characters for each pixel
        print("".join(2 * " .:-=+*#%@"[level // 26] for level in row))

    likeliest = probabilities.topk(3).indices.tolist()
    for digit in likeliest:
        print(f"{digit}: {probabilities[digit]:.1%}")

    if others:
        print("demo.py: there may be several digits", file=sys.stderr)
    if probabilities.max() < UNSURE:
        print("demo.py: unsure of this answer", file=sys.stderr)
    print(likeliest[0])


if __name__ == "__main__":
    main()
