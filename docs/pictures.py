"""Draw the pictures of the README from this project's own data and weights.

    python docs/pictures.py --log train.log    # log: what train.py has printed

Writes network.png, digits.png, filters.png, mistakes.png, seen.png, steps.png and, from
a log, curve.png into its own folder. photo.jpg, the photograph that it prepares, is no
real one: it was drawn, a test digit on ruled paper.
"""

import argparse
import re
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont, ImageOps

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))  # where the modules below are

import prepare
from demo import load_model, read_grey
from model import WEIGHTS_FILE, ConvNet, to_input
from train import load_mnist

INK, GREY, BLUE, RED = (31, 35, 40), (110, 119, 129), (9, 105, 218), (207, 34, 46)
EXAMPLE = 15  # the test image, a 5, that most pictures show


def new_sheet(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """Return a white picture and the pen for it; white is legible on dark pages too."""
    sheet = Image.new("RGB", (width, height), "white")
    return sheet, ImageDraw.Draw(sheet)


def write(
    pen: ImageDraw.ImageDraw, x: float, y: float, text: str, size: int = 14
) -> None:
    """Write `text`, of one line or more, centred at (x, y)."""
    font = ImageFont.load_default(size)
    pen.text((x, y), text, INK, font, "mm", align="center", spacing=5)


def save(sheet: Image.Image, name: str) -> None:
    """Save a sheet as a small PNG; where all is grey, 32 levels are enough."""
    if np.ptp(np.asarray(sheet), axis=2).max() < 16:
        sheet = sheet.quantize(32)
    sheet.save(DOCS / name, optimize=True)
    print(f"{DOCS / name}: {sheet.width} x {sheet.height} pixels")


def to_levels(values: torch.Tensor) -> np.ndarray:
    """Turn values into uint8 grey levels: 0 and below black, the highest one white."""
    return (255 * values / values.max().clamp(min=1e-9)).clamp(min=0).byte().numpy()


def draw_row(pictures: list[np.ndarray], captions: list[str], size: int) -> Image.Image:
    """Draw grey pictures (H, W) in a row with arrows between them."""
    step = size + 34
    sheet, pen = new_sheet(step * len(pictures) - 14, size + 60)
    for i, (grey, caption) in enumerate(zip(pictures, captions, strict=True)):
        way = (
            Image.Resampling.BOX if max(grey.shape) > size else Image.Resampling.NEAREST
        )
        picture = ImageOps.contain(Image.fromarray(np.uint8(grey)), (size, size), way)
        x, y = 10 + step * i, 10 + size // 2
        sheet.paste(picture, (x, y - picture.height // 2))
        write(pen, x + size / 2, size + 34, caption)
        if i:
            pen.line((x - 28, y, x - 12, y), GREY, 2)
            pen.polygon([(x - 6, y), (x - 14, y - 5), (x - 14, y + 5)], GREY)
    return sheet


def mosaic(maps: torch.Tensor) -> np.ndarray:
    """Lay the first 16 of the maps (C, H, W) out in four rows, each with a border."""
    tiles = [np.pad(to_levels(channel), 1, constant_values=90) for channel in maps[:16]]
    return np.vstack([np.hstack(tiles[i : i + 4]) for i in range(0, 16, 4)])


@torch.inference_mode()
def draw_network(model: ConvNet, image: torch.Tensor) -> Image.Image:
    """Draw what each step of the network makes of one image (28, 28) uint8."""
    values = to_input(image[None])
    pictures, captions = [image.numpy()], ["input\n1x28x28"]
    for layer in (model.layer1, model.layer2):
        for name, part in (("conv, norm, ReLU", layer[:3]), ("max-pool", layer[3:])):
            values = part(values)
            pictures.append(mosaic(values[0]))
            captions.append(f"{name}\n{'x'.join(map(str, values[0].shape))}")
    logits = model.fc(values.flatten(1))[0]
    bars = np.full((100, 100), 255)
    for digit, length in enumerate(80 * (logits - logits.min()) / np.ptp(logits)):
        bars[10 * digit + 2 : 10 * digit + 9, 10 : 12 + int(length)] = 60
    return draw_row([*pictures, bars], [*captions, "linear\n10 logits, 0 to 9"], 116)


def draw_digits(images: torch.Tensor, labels: torch.Tensor) -> Image.Image:
    """Draw the first 20 training images of each class, a row for each class."""
    size, columns, left = 36, 20, 44
    sheet, pen = new_sheet(left + size * columns + 12, 10 * size + 24)
    for digit in range(10):
        y = 12 + size * digit
        write(pen, left / 2, y + size / 2, str(digit), 18)
        for i, image in enumerate(images[labels == digit][:columns]):
            picture = Image.fromarray(image.numpy()).resize((size, size))
            sheet.paste(picture, (left + size * i, y))
    return sheet


@torch.inference_mode()
def draw_filters(model: ConvNet, image: torch.Tensor) -> Image.Image:
    """Draw the 16 filters of the first layer, each beside its map of one digit."""
    sheet, pen = new_sheet(788, 536)
    maps = model.layer1[:3](to_input(image[None]))[0]
    for i, (weights, found) in enumerate(zip(model.layer1[0].weight[:, 0], maps)):
        x, y = 12 + 194 * (i % 4), 12 + 122 * (i // 4)
        strength = (weights / weights.abs().max())[..., None].numpy()
        ends = np.where(strength > 0, BLUE, RED)
        pixels = np.uint8(255 + np.abs(strength) * (ends - 255))
        for picture, size, place in (
            (pixels, 60, (x, y + 26)),
            (to_levels(found), 112, (x + 70, y)),
        ):
            picture = Image.fromarray(picture).resize((size, size), 0)
            sheet.paste(picture, place)
        pen.rectangle((x, y + 26, x + 59, y + 85), outline=GREY)
    text = "filter: blue wants ink, red wants none; beside it: what it finds in a digit"
    write(pen, 394, 516, text, 15)
    return sheet


def draw_panel(
    pen: ImageDraw.ImageDraw, points: np.ndarray, left: int, title: str, form: str
) -> None:
    """Draw points (N, 2) joined by a line, and the ends of both axes."""
    right, top, bottom = left + 900, 130, 720
    last, low, high = np.ceil(points[-1, 0]), points[:, 1].min(), points[:, 1].max()
    xs = np.interp(points[:, 0], (0, last), (left, right))
    ys = np.interp(points[:, 1], (low, high), (bottom - 20, top + 20))
    pen.line((left, top, left, bottom, right, bottom), GREY, 3)
    pen.line([*zip(xs, ys)], BLUE, 6, joint="curve")
    for x, y in zip(xs, ys):
        pen.ellipse((x - 9, y - 9, x + 9, y + 9), BLUE)
    write(pen, (left + right) / 2, 60, title, 48)
    write(pen, (left + right) / 2, bottom + 100, "epoch", 42)
    for epoch in range(int(last) + 1):
        x = np.interp(epoch, (0, last), (left, right))
        write(pen, x, bottom + 45, str(epoch), 39)
    for value, y in ((low, bottom - 20), (high, top + 20)):
        write(pen, left - 80, y, form.format(value), 39)


def draw_curve(log: Path) -> Image.Image:
    """Draw the loss and the test accuracy of one training run, as train.py printed it.

    Raises ValueError for a file that does not hold that.
    """
    text, number = log.read_text(), r"(\d+\.\d+)"
    steps = re.findall(rf"\[(\d+)/\d+\], Step \[(\d+)/(\d+)\], Loss: {number}", text)
    tests = re.findall(rf"\[(\d+)/\d+\]: .* accuracy {number} %", text)
    if not steps or not tests:
        raise ValueError(f"{log}: expected the output of train.py")
    losses = [(int(e) - 1 + int(s) / int(n), float(loss)) for e, s, n, loss in steps]
    sheet, pen = new_sheet(2400, 900)  # three times as large as it is saved
    draw_panel(pen, np.array(losses), 200, "training loss of one batch", "{:.2f}")
    draw_panel(pen, np.float64(tests), 1400, "test accuracy in %", "{:.2f}")
    return sheet.resize((800, 300), Image.Resampling.BOX)


def draw_mistakes(
    images: torch.Tensor, labels: torch.Tensor, answers: torch.Tensor
) -> Image.Image:
    """Draw each wrongly answered image with the answer and the truth, by truth."""
    wrong = (answers != labels).nonzero()[:, 0]
    wrong = wrong[labels[wrong].argsort(stable=True)].tolist()
    columns, size, width, height = 10, 64, 77, 92
    sheet, pen = new_sheet(
        columns * width + 12, -(-len(wrong) // columns) * height + 16
    )
    for i, place in enumerate(wrong):
        x, y = 12 + width * (i % columns), 12 + height * (i // columns)
        sheet.paste(Image.fromarray(images[place].numpy()).resize((size, size)), (x, y))
        write(pen, x + 32, y + size + 11, f"{answers[place]} not {labels[place]}")
    return sheet


def main(argv: list[str] | None = None) -> None:
    """Load data and weights, draw and save all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=WEIGHTS_FILE, help="weights")
    parser.add_argument("--log", type=Path, help="output of train.py, for curve.png")
    args = parser.parse_args(argv)
    try:
        model = load_model(args.model)
        train_set, (images, labels) = load_mnist(DOCS.parent / "data", "cpu")
        if args.log:
            save(draw_curve(args.log), "curve.png")
    except (OSError, ValueError) as error:
        sys.exit(f"pictures.py: {error}")
    with torch.inference_mode():
        answers = torch.cat([model(to_input(x)).argmax(1) for x in images.split(500)])
    save(draw_network(model, images[EXAMPLE]), "network.png")
    save(draw_digits(*train_set), "digits.png")
    save(draw_filters(model, images[EXAMPLE]), "filters.png")
    save(draw_mistakes(images, labels, answers), "mistakes.png")
    photo = read_grey(DOCS / "photo.jpg")
    pixels, _ = prepare.prepare(photo)
    chances = model(to_input(torch.tensor(pixels[None]))).softmax(1)[0]
    answer = f"the answer: {chances.argmax()} ({chances.max():.0%})"
    captions = ["a photograph (a drawn one)", f"what the network saw; {answer}"]
    save(draw_row([photo, pixels], captions, 300), "seen.png")
    small = prepare.scale(photo, prepare.SIDE)
    ink = prepare.find_ink(small)
    mask, (digit, _) = ink >= prepare.otsu_threshold(ink), prepare.find_digit(ink)
    steps = [photo, ink / ink.max() * 255, mask * 255, digit * 255, pixels]
    names = ["photograph", "paper taken away", "threshold", "component", "28x28"]
    save(draw_row(steps, names, 130), "steps.png")


if __name__ == "__main__":
    main()
