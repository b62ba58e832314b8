"""Classify one picture of a handwritten digit with the weights that train.py saved.

    python demo.py photo.jpg    # default: test/12.png, which resolve.py writes

Draws the 28x28 pixels that the network saw, prints the three likeliest digits and, as
its last line, the digit alone. How a picture becomes these pixels: prepare.py.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from model import WEIGHTS_FILE, ConvNet, choose_device, to_input
from prepare import prepare

UNSURE = 0.75  # below it are 4 of 12 wrong answers, 3 % of the right (real pictures)
Image.MAX_IMAGE_PIXELS = 250_000_000  # phones take photographs of 200 megapixels


def read_grey(path: Path) -> np.ndarray:
    """Return a picture of any kind, as a person sees it, as grey levels (H, W) uint8.

    Raises ValueError if it cannot be read.
    """
    try:
        with Image.open(path) as picture:
            picture = ImageOps.exif_transpose(picture)  # upright, as it was taken
    except FileNotFoundError:
        raise ValueError("no such file; python resolve.py makes test/12.png") from None
    except Exception as error:  # a broken picture may raise anything
        fault = "cannot be read as a picture; if it is HEIC, save it as JPEG"
        raise ValueError(f"{fault} ({error})") from error
    if picture.mode.startswith(("I", "F")):  # 16 bits or more, of unknown range
        levels = np.nan_to_num(np.asarray(picture, np.float64)).clip(0)
        return np.uint8(levels * (255 / max(levels.max(), 1e-9)))
    if not picture.has_transparency_data:
        return np.asarray(picture.convert("L"))
    # Put a transparent picture on white, or on black if its ink is bright.
    grey, alpha = picture.convert("RGBA").convert("LA").split()
    visible = np.average(grey, weights=np.asarray(alpha) + 1e-9)
    ground = Image.new("L", grey.size, 255 if visible < 128 else 0)
    return np.asarray(Image.composite(grey, ground, alpha))


def load_model(path: Path) -> ConvNet:
    """Return the network with the weights of `path`, on the CPU, ready to classify.

    Raises ValueError for a file that does not hold the weights of this network.
    """
    model = ConvNet().eval()
    try:
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # a broken file may raise anything
        fault = f"{path}: not the weights of this network, run train.py"
        raise ValueError(f"{fault} ({error!r:.150})") from error
    return model


def draw(pixels: np.ndarray) -> str:
    """Draw (H, W) uint8 with characters, two for each pixel."""
    rows = ("".join(2 * " .:-=+*#%@"[level // 26] for level in row) for row in pixels)
    return "\n".join(rows)


def main(argv: list[str] | None = None) -> None:
    """Prepare the picture, load the weights, ask the network, print the digit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", nargs="?", type=Path, default="test/12.png")
    parser.add_argument("--model", type=Path, default=WEIGHTS_FILE, help="weights")
    parser.add_argument("--device", help="cpu, cuda ...; default: cuda if it works")
    args = parser.parse_args(argv)
    try:
        pixels, others = prepare(read_grey(args.image))
    except ValueError as error:
        sys.exit(f"demo.py: {args.image}: {error}")
    try:
        device = choose_device(args.device)
        model, images = load_model(args.model), to_input(torch.tensor(pixels[None]))
        with torch.inference_mode():
            logits = model.to(device)(images.to(device))
        probabilities = logits.softmax(1)[0].cpu()
        if not probabilities.isfinite().all():
            raise ValueError(f"{args.model}: damaged weights, run train.py again")
    except ValueError as error:
        sys.exit(f"demo.py: {error}")
    print(f"Loaded the weights of {args.model}", draw(pixels), sep="\n")
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
