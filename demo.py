"""Classify one picture of a handwritten digit with the weights that train.py saved.

    python demo.py photo.jpg            # without a name: test/12.png of resolve.py

Draws the 28x28 pixels that the network saw, prints the three likeliest digits and, as
its last line, the digit alone. How a picture becomes these pixels: prepare.py.
"""

import argparse
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from model import WEIGHTS_FILE, ConvNet, choose_device, to_input
from prepare import prepare

UNSURE = 0.75  # on real pictures: 7 of 13 wrong answers are below, 2 % of the right
HEIC = (b"ftypheic", b"ftypheix", b"ftyphevc", b"ftypmif1")  # bytes 4 to 12


def read_grey(path: Path) -> np.ndarray:
    """Return a picture of any kind, as a person sees it, as grey levels (H, W) uint8.

    Raises ValueError if it cannot be read.
    """
    try:
        with path.open("rb") as file:
            if file.read(12)[4:] in HEIC:
                raise ValueError("HEIC is not supported, save or send it as JPEG")
            with Image.open(file) as picture:
                picture = ImageOps.exif_transpose(picture)  # upright, as it was taken
    except FileNotFoundError:
        raise ValueError("no such file; python resolve.py makes test/12.png") from None
    except Exception as error:  # a broken picture may raise anything
        raise ValueError(f"cannot be read as a picture ({error})") from error
    if picture.mode.startswith(("I", "F")):  # 16 bits or more, of unknown range
        levels = np.nan_to_num(np.asarray(picture, np.float64), posinf=0, neginf=0)
        return np.uint8((levels - levels.min()) * (255 / max(np.ptp(levels), 1e-9)))
    if not picture.has_transparency_data:
        return np.asarray(picture.convert("L"))
    # Lay what is transparent on the ground on which the rest can be seen.
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
        fault = "no weights of this network, run train.py"
        raise ValueError(f"{path}: {fault} ({error!r:.150})") from error
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
    warnings.simplefilter("ignore")  # of Pillow and torch, about odd files
    try:
        pixels, others = prepare(read_grey(args.image))
    except ValueError as error:
        sys.exit(f"demo.py: {args.image}: {error}")
    try:
        model = load_model(args.model).to(choose_device(args.device))
        images = to_input(torch.tensor(pixels[None])).to(model.fc.weight.device)
        with torch.inference_mode():
            probabilities = model(images).softmax(1)[0].cpu()
        if not probabilities.isfinite().all():
            raise ValueError(f"{args.model}: damaged weights, run train.py again")
    except ValueError as error:
        sys.exit(f"demo.py: {error}")
    print(f"Loaded the weights of {args.model}", draw(pixels), sep="\n")
    likeliest = probabilities.argsort(descending=True).tolist()
    for digit in likeliest[:3]:
        print(f"{digit}: {probabilities[digit]:.1%}")
    if others:
        print("demo.py: there may be several digits", file=sys.stderr)
    if probabilities.max() < UNSURE:
        print("demo.py: this answer is unsure", file=sys.stderr)
    print(likeliest[0])


if __name__ == "__main__":
    main()
