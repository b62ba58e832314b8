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

LARGEST = (2000, 2000)  # pixels; more would only take time and memory
SHADES = " .:-=+*#%@"  # from black to white
UNSURE = 0.75  # 80% of the mistakes are less certain, and 4% of the correct answers

Image.MAX_IMAGE_PIXELS = 250_000_000  # phones take photographs of 200 megapixels


def load_model(path: Path | str) -> ConvNet:
    """Return the network with the weights of `path`, on the CPU, ready to classify.

    Raises RuntimeError if they are the weights of another network.
    """
    model = ConvNet().eval()
    weights = torch.load(path, map_location="cpu", weights_only=True)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise RuntimeError(
            f"{path} does not fit model.py, was that changed after the training? "
            f"Then train again. {error}"
        ) from None
    return model


def read_grey(path: Path | str) -> torch.Tensor:
    """Return a picture of any kind, upright, as (H, W) float32, 0 black to 1 white."""
    with Image.open(path) as picture:
        # draft shrinks a JPEG while it is read; a reducing gap fails on 16 bits.
        picture.draft(None, LARGEST)
        picture.load()  # here a damaged file fails, with Pillow's own words
        picture.thumbnail(LARGEST, reducing_gap=None)
        with suppress(Exception):  # a broken EXIF block
            ImageOps.exif_transpose(picture, in_place=True)

    if picture.mode.startswith(("I", "F")):  # 16 or 32 bits, of an unknown range
        levels = np.nan_to_num(np.asarray(picture, np.float32), posinf=0).clip(0)
        return torch.from_numpy(levels / (levels.max() or 1))
    if picture.has_transparency_data:
        picture = on_background(picture)
    return torch.tensor(np.asarray(picture.convert("L"))) / 255


def on_background(picture: Image.Image) -> Image.Image:
    """Put a transparent picture on white, or on black if its ink is bright."""
    grey, alpha = picture.convert("RGBA").convert("LA").split()
    drawn = np.asarray(grey)[np.asarray(alpha) > 0]
    background = 0 if drawn.size and drawn.mean() > 127 else 255
    return Image.composite(grey, Image.new("L", picture.size, background), alpha)


@torch.inference_mode()  # keeps nothing for gradients
def classify(model: ConvNet, pixels: torch.Tensor) -> torch.Tensor:
    """Return the probabilities (10,) of the digits in one picture (28, 28)."""
    return model(pixels[None, None]).softmax(1)[0]  # the input: (1, 1, 28, 28)


def main(argv: list[str] | None = None) -> None:
    """Prepare the picture, ask the network, print the digit."""
    parser = argparse.ArgumentParser(
        description="Classify one picture of a handwritten digit.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("image", nargs="?", type=Path, default="test/12.png")
    parser.add_argument("--model", type=Path, default=WEIGHTS_FILE, help="weights")
    parser.add_argument("--device", default=choose_device(), help="cpu, cuda, ...")
    args = parser.parse_args(argv)

    if not args.model.exists():
        sys.exit(f"demo.py: there is no {args.model}, run python train.py first")
    model = load_model(args.model).to(args.device)

    try:
        pixels, others = prepare(read_grey(args.image))
    except UnidentifiedImageError:
        sys.exit(f"demo.py: Pillow cannot read {args.image}, save HEIC as JPEG first")
    except NoInk as error:
        sys.exit(f"demo.py: {args.image}: {error}")

    probabilities = classify(model, pixels.to(args.device)).cpu()

    for row in pixels.tolist():  # as the network saw it, two characters for each pixel
        print("".join(SHADES[round(9 * level)] * 2 for level in row))

    most_likely = probabilities.topk(3).indices.tolist()
    for digit in most_likely:
        print(f"{digit}: {probabilities[digit]:.1%}")

    if others:
        print("demo.py: there may be several digits", file=sys.stderr)
    if probabilities.max() < UNSURE:
        print(
            "demo.py: unsure. Is the drawing above your digit, alone? If not, crop "
            "the picture more tightly",
            file=sys.stderr,
        )
    print(most_likely[0])


if __name__ == "__main__":
    main()
