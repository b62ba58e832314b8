"""Draw the pictures of the README from this project's own data and weights.

    python docs/pictures.py --log train.log    # log: what train.py has printed

Writes network.png, digits.png, filters.png, mistakes.png, seen.png, steps.png and, from
a log, curve.png into its own folder. photo.jpg, the photograph that it prepares, is not
real: it is a test digit drawn on ruled paper.
"""

import argparse
import re
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont, ImageOps
from torch import Tensor

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))  # where the modules below are

import prepare
from demo import load_model, read_grey
from model import WEIGHTS_FILE, ConvNet, to_input
from train import load_mnist

INK, GREY, BLUE, RED = (31, 35, 40), (110, 119, 129), (9, 105, 218), (207, 34, 46)
Pen = ImageDraw.ImageDraw
EXAMPLE = 15  # the test image, a 5, that most pictures show


def new_sheet(width: int, height: int) -> tuple[Image.Image, Pen]:
    """Return a white picture and the pen for it; white is legible on dark pages too."""
    sheet = Image.new("RGB", (width, height), "white")
    return sheet, ImageDraw.Draw(sheet)


def write(pen: Pen, x: float, y: float, text: str, size: int = 14) -> None:
    """Write `text`, of one line or more, centred at (x, y)."""
    font = ImageFont.load_default(size)
    pen.text((x, y), text, INK, font, "mm", align="center", spacing=5)


def save(sheet: Image.Image, name: str) -> None:
    """Save a sheet as a small PNG; where all is grey, 32 levels are enough."""
    if np.ptp(np.asarray(sheet), axis=2).max() < 16:
        sheet = sheet.quantize(32)
    sheet.save(DOCS / name, optimize=True)
    print(f"{DOCS / name}: {sheet.width} x {sheet.height} pixels")


def to_levels(values: Tensor) -> np.ndarray:
    """Turn values into uint8 grey levels: 0 and below black, the highest one white."""
    return (255 * values / values.max().clamp(min=1e-9)).clamp(min=0).byte().numpy()


def draw_row(pictures: list[np.ndarray], captions: list[str], size: int) -> Image.Image:
    """Draw grey pictures (H, W) in a row with arrows between them."""
    step = size + 34
    sheet, pen = new_sheet(step * len(pictures) - 14, size + 60)
    for i, (grey, caption) in enumerate(zip(pictures, captions, strict=True)):
        picture = Image.fromarray(np.uint8(grey))
        picture = ImageOps.contain(picture, (size, size), Image.Resampling.BOX)
        x, y = 10 + step * i, 10 + size // 2
        sheet.paste(picture, (x, y - picture.height // 2))
        write(pen, x + size / 2, size + 34, caption)
        if i:
            pen.line((x - 28, y, x - 12, y), GREY, 2)
            pen.polygon([(x - 6, y), (x - 14, y - 5), (x - 14, y + 5)], GREY)
    return sheet


def mosaic(maps: Tensor) -> np.ndarray:
    """Lay the first 16 of the maps (C, H, W) out in four rows, each with a border."""
    tiles = [np.pad(to_levels(channel), 1, constant_values=90) for channel in maps[:16]]
    return np.vstack([np.hstack(tiles[i : i + 4]) for i in range(0, 16, 4)])


@torch.inference_mode()
def draw_network(model: ConvNet, image: Tensor) -> Image.Image:
    """Draw what each step of the network makes of one image (28, 28) uint8."""
    values = to_input(image[None])
    pictures, captions = [image.numpy()], ["input\n1x28x28"]
    for layer in (model.layer1, model.layer2):
        for name, part in (("conv, norm, ReLU", layer[:3]), ("max-pool", layer[3:])):
            values = part(values)
            pictures.append(mosaic(values[0]))
            some = "16 of " if len(values[0]) > 16 else ""
            captions.append(f"{name}\n{some}{'x'.join(map(str, values[0].shape))}")
    logits = model.fc(values.flatten(1))[0]
    bars = np.full((100, 100), 255)
    for digit, length in enumerate(80 * (logits - logits.min()) / np.ptp(logits)):
        bars[10 * digit + 2 : 10 * digit + 9, 10 : 12 + int(length)] = 60
    return draw_row([*pictures, bars], [*captions, "linear\n10 logits, 0 to 9"], 116)


def draw_digits(images: Tensor, labels: Tensor) -> Image.Image:
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
def draw_filters(model: ConvNet, image: Tensor) -> Image.Image:
    """Draw the first layer's filters, blue is positive, each beside its map of a 5."""
    sheet, pen = new_sheet(788, 500)
    maps = model.layer1[:3](to_input(image[None]))[0]
    for i, (weights, seen) in enumerate(zip(model.layer1[0].weight[:, 0], maps)):
        x, y = 12 + 194 * (i % 4), 12 + 122 * (i // 4)
        strength = (weights / weights.abs().max())[..., None].numpy()
        ends = np.where(strength > 0, BLUE, RED)
        pixels = np.uint8(255 + np.abs(strength) * (ends - 255))
        sheet.paste(Image.fromarray(pixels).resize((60, 60), 0), (x, y + 26))
        sheet.paste(Image.fromarray(to_levels(seen)).resize((112, 112), 0), (x + 70, y))
        pen.rectangle((x, y + 26, x + 59, y + 85), outline=GREY)
    return sheet


def draw_panel(pen: Pen, points: np.ndarray, left: int, title: str) -> None:
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
        write(pen, left - 80, y, f"{value:.2f}", 39)


def draw_curve(log: Path) -> Image.Image:
    """Draw the loss and the test accuracy of one training run, as train.py printed."""
    text, number = log.read_text(), r"(\d+\.\d+)"
    steps = re.findall(rf"\[(\d+)/\d+\], Step \[(\d+)/(\d+)\], Loss: {number}", text)
    tests = re.findall(rf"\[(\d+)/\d+\]: .* accuracy {number} %", text)
    losses = [(int(e) - 1 + int(s) / int(n), float(loss)) for e, s, n, loss in steps]
    sheet, pen = new_sheet(2400, 900)  # three times as large as it is saved
    draw_panel(pen, np.array(losses), 200, "training loss of one batch")
    draw_panel(pen, np.float64(tests), 1400, "test accuracy in %")
    return sheet.resize((800, 300), Image.Resampling.BOX)


def draw_mistakes(images: Tensor, labels: Tensor, answers: Tensor) -> Image.Image:
    """Draw each wrongly answered image with the answer and the truth, by truth."""
    wrong = (answers != labels).nonzero()[:, 0]
    wrong = wrong[labels[wrong].argsort(stable=True)].tolist()
    columns, size, width, height = 10, 64, 77, 92
    rows = -(-len(wrong) // columns)
    sheet, pen = new_sheet(columns * width + 12, rows * height + 16)
    for i, place in enumerate(wrong):
        x, y = 12 + width * (i % columns), 12 + height * (i // columns)
        sheet.paste(Image.fromarray(images[place].numpy()).resize((size, size)), (x, y))
        write(pen, x + 32, y + size + 11, f"{answers[place]} not {labels[place]}")
    return sheet


@torch.inference_mode()
def draw_seen(model: ConvNet, photo: np.ndarray) -> Image.Image:
    """Draw a photograph (H, W) uint8 beside what the network sees, and its answer."""
    pixels, _ = prepare.prepare(photo)
    chances = model(to_input(torch.tensor(pixels[None]))).softmax(1)[0]
    answer = f"the answer: {chances.argmax()} ({chances.max():.0%})"
    captions = ["a photograph (a drawn one)", f"what the network saw; {answer}"]
    return draw_row([photo, pixels], captions, 300)


def draw_steps(photo: np.ndarray) -> Image.Image:
    """Draw the steps of the preparation, with a margin line added and on a desk."""
    page = Image.fromarray(photo)
    ImageDraw.Draw(page).line((50, 0, 50, page.height), 110, 4)
    page = page.rotate(4, Image.Resampling.BICUBIC, expand=True, fillcolor=45)
    photo, side = np.asarray(ImageOps.expand(page, 30, 45)), prepare.SIDE
    sheet = prepare.find_sheet(prepare.scale(photo, side))
    inside = prepare.scale(prepare.crop(photo, sheet, margin=-1), side)
    ink = prepare.find_ink(inside)
    mask, (digit, _) = ink >= prepare.otsu_threshold(ink), prepare.find_digit(ink)
    pixels, _ = prepare.prepare(photo)
    steps = [photo, inside, ink / ink.max() * 255, mask * 255, digit * 255, pixels]
    names = ["photograph", "sheet", "ink", "Otsu's threshold", "component", "28x28"]
    return draw_row(steps, names, 110)


def main(argv: list[str] | None = None) -> None:
    """Load data and weights, draw and save all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=WEIGHTS_FILE, help="weights")
    parser.add_argument("--log", type=Path, help="output of train.py, for curve.png")
    args = parser.parse_args(argv)
    model = load_model(args.model)
    train_set, (images, labels) = load_mnist(DOCS.parent / "data", "cpu")
    if args.log:
        save(draw_curve(args.log), "curve.png")
    with torch.inference_mode():
        answers = torch.cat([model(to_input(x)).argmax(1) for x in images.split(500)])
    save(draw_network(model, images[EXAMPLE]), "network.png")
    save(draw_digits(*train_set), "digits.png")
    save(draw_filters(model, images[EXAMPLE]), "filters.png")
    save(draw_mistakes(images, labels, answers), "mistakes.png")
    photo = read_grey(DOCS / "photo.jpg")
    save(draw_seen(model, photo), "seen.png")
    save(draw_steps(photo), "steps.png")


if __name__ == "__main__":
    main()
