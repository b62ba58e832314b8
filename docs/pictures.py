"""Draw the pictures of the README, from this project's own code, data and weights.

    python docs/pictures.py --log train.log    # log: what train.py has printed

Writes network.png, preview.png, digits.png, filters.png, mistakes.png, photo.jpg,
seen.png and, from a log, curve.png into its own folder. Run it from the root of the
repository.
"""

import argparse
import re
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter, ImageFont

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent))  # where the modules below are

from demo import classify, load_model, read_grey
from model import WEIGHTS_FILE, ConvNet, to_input
from resolve import draw_preview
from train import load_mnist, predict

INK, GREY, BLUE, RED = (31, 35, 40), (110, 119, 129), (9, 105, 218), (207, 34, 46)
EXAMPLE = 15  # the test image, a 5, that most pictures show


def new_sheet(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """Return a white picture and the pen for it; white is legible on dark pages too."""
    sheet = Image.new("RGB", (width, height), "white")
    return sheet, ImageDraw.Draw(sheet)


def write(
    pen: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    size: int = 15,
    anchor: str = "mm",
    colour: tuple[int, int, int] = INK,
) -> None:
    """Write `text`, of one line or more, centred at `place` unless anchor says else."""
    font = ImageFont.load_default(size)
    pen.text(place, text, colour, font, anchor, align="center", spacing=5)


def save(sheet: Image.Image, name: str) -> None:
    """Save a sheet as a small PNG; where all is grey, 32 levels are enough."""
    if np.ptp(np.asarray(sheet), axis=2).max() < 16:
        sheet = sheet.quantize(32)
    sheet.save(DOCS / name, optimize=True)
    print(f"{DOCS / name}: {sheet.width} x {sheet.height} pixels")


def enlarge(pixels: np.ndarray, size: int) -> Image.Image:
    """Turn (H, W) uint8 grey levels into a picture of `size` pixels, with hard edges."""
    return Image.fromarray(pixels).resize((size, size), Image.Resampling.NEAREST)


def to_levels(values: torch.Tensor) -> np.ndarray:
    """Turn (H, W) values >= 0 into uint8 grey levels, the highest one 255."""
    return (255 * values / values.max().clamp(min=1e-9)).byte().numpy()


@torch.inference_mode()
def trace(model: ConvNet, image: torch.Tensor) -> list[torch.Tensor]:
    """Return what each step makes of one image (28, 28) uint8, the network's own way.

    (1, 28, 28), then (C, H, W) after normalising and after ReLU in both blocks, (10,).
    """
    values = to_input(image[None])
    steps = [values[0]]
    for block in (model.layer1, model.layer2):
        normalised = block[:2](values)
        values = block[2:](normalised)
        steps += [normalised[0].relu(), values[0]]  # negative numbers are drawn black
    return [*steps, model.fc(values.flatten(1))[0]]


def paste_pile(
    sheet: Image.Image, maps: torch.Tensor, centre: tuple[int, int], size: int
) -> None:
    """Paste (C, H, W) maps as a pile, the four of most contrast, the best in front."""
    best = maps.std((1, 2)).argsort()[-4:]
    for i, channel in enumerate(best):
        shift = 10 * i - 5 * (len(best) - 1)  # to the left and down
        x, y = centre[0] - size // 2 - shift, centre[1] - size // 2 + shift
        sheet.paste("white", (x - 2, y - 2, x + size + 2, y + size + 2))
        sheet.paste(enlarge(to_levels(maps[channel]), size), (x, y))


def draw_arrow(pen: ImageDraw.ImageDraw, start: int, end: int, y: int) -> None:
    """Draw an arrow to the right."""
    pen.line((start, y, end - 6, y), GREY, 2)
    pen.polygon([(end, y), (end - 8, y - 5), (end - 8, y + 5)], GREY)


def draw_logits(
    pen: ImageDraw.ImageDraw, logits: torch.Tensor, left: int, top: int
) -> None:
    """Draw ten bars, the highest one in blue, each beside its digit."""
    spread = logits - logits.min()
    for digit, length in enumerate((60 * spread / spread.max()).tolist()):
        y = top + 17 * digit
        colour = BLUE if digit == logits.argmax() else GREY
        write(pen, (left, y), str(digit), 14, colour=colour)
        pen.rectangle((left + 11, y - 5, left + 13 + length, y + 5), colour)


def draw_network(model: ConvNet, image: torch.Tensor) -> Image.Image:
    """Draw each step of the network with its shape and what it makes of one digit."""
    sheet, pen = new_sheet(800, 300)
    *maps, logits = trace(model, image)
    block = ["conv 5x5\nbatch norm", "max-pool\nReLU"]
    names = ["input", *block, *block, "flatten\nlinear", "logits"]
    shapes = ["{1}x{2}x{0}".format(*values.shape) for values in maps]
    shapes += [str(maps[-1].numel()), str(len(logits))]
    centres, y = [62, 207, 354, 488, 609, 683, 757], 160
    for name, shape, x in zip(names, shapes, centres):
        write(pen, (x, 42), name)
        write(pen, (x, 262), shape)
    sizes = [104, 104, 78, 78, 52]
    for values, x, size in zip(maps, centres, sizes):
        paste_pile(sheet, values, (x, y), size)
    widths = [104, *(size + 30 for size in sizes[1:])]
    rights = [x + width // 2 for x, width in zip(centres, widths)]
    lefts = [x - width // 2 for x, width in zip(centres[1:], widths[1:])]
    for right, left in zip(rights, [*lefts, 712]):
        draw_arrow(pen, right + 4, left - 3, y)
    draw_logits(pen, logits, 718, y - 76)
    return sheet


def draw_digits(images: torch.Tensor, labels: torch.Tensor) -> Image.Image:
    """Draw the first 20 training images of each class, a row for each class."""
    size, columns, left = 36, 20, 44
    sheet, pen = new_sheet(left + size * columns + 12, 10 * size + 24)
    for digit in range(10):
        y = 12 + size * digit
        write(pen, (left / 2, y + size / 2), str(digit), 18)
        for i, image in enumerate(images[labels == digit][:columns]):
            picture = Image.fromarray(image.numpy()).resize((size, size))
            sheet.paste(picture, (left + size * i, y))
    return sheet


def draw_filter(weights: torch.Tensor, size: int) -> Image.Image:
    """Draw (5, 5) weights: blue where ink counts for, red where it counts against."""
    strength = (weights / weights.abs().max()).unsqueeze(-1)
    white, blue, red = (torch.tensor(c) for c in ((255.0,) * 3, BLUE, RED))
    ends = torch.where(strength > 0, blue, red)
    pixels = (white + strength.abs() * (ends - white)).byte().numpy()
    return Image.fromarray(pixels).resize((size, size), Image.Resampling.NEAREST)


def draw_filters(model: ConvNet, image: torch.Tensor) -> Image.Image:
    """Draw the 16 filters of the first layer, each beside its map of one digit."""
    sheet, pen = new_sheet(788, 536)
    maps = trace(model, image)[1]
    filters = model.layer1[0].weight.detach()[:, 0]
    for i, (weights, found) in enumerate(zip(filters, maps)):
        x, y = 12 + 194 * (i % 4), 12 + 122 * (i // 4)
        sheet.paste(draw_filter(weights, 60), (x, y + 26))
        pen.rectangle((x, y + 26, x + 59, y + 85), outline=GREY)
        sheet.paste(enlarge(to_levels(found), 112), (x + 70, y))
    text = "filter: blue wants ink, red wants none; beside it: what it finds in a digit"
    write(pen, (394, 516), text)
    return sheet


def read_log(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return (epoch, loss) and (epoch, test accuracy) as train.py has printed them.

    Raises ValueError for a file that does not hold the output of train.py.
    """
    text, number = path.read_text(), r"(\d+\.\d+)"
    steps = re.findall(rf"\[(\d+)/\d+\], Step \[(\d+)/(\d+)\], Loss: {number}", text)
    tests = re.findall(rf"\[(\d+)/\d+\]: .* accuracy {number} %", text)
    if not steps or not tests:
        raise ValueError(f"{path}: expected the output of train.py")
    losses = [(int(e) - 1 + int(s) / int(n), float(loss)) for e, s, n, loss in steps]
    return np.array(losses), np.float64(tests)


def draw_panel(
    pen: ImageDraw.ImageDraw, points: np.ndarray, left: int, ticks: np.ndarray, k: int
) -> None:
    """Draw points (N, 2) joined by a line, axes and ticks, k times enlarged."""
    x0, x1, y0, y1 = left * k, (left + 316) * k, 250 * k, 45 * k
    last = int(np.ceil(points[:, 0].max()))
    for value in ticks:
        y = np.interp(value, ticks[[0, -1]], (y0, y1))
        pen.line((x0, y, x1, y), (216, 222, 228), k)
        write(pen, (x0 - 8 * k, y), f"{value:.1f}", 13 * k, "rm", GREY)
    for epoch in range(0, last + 1, -(-last // 10)):
        x = np.interp(epoch, (0, last), (x0, x1))
        pen.line((x, y0, x, y0 + 5 * k), GREY, k)
        write(pen, (x, y0 + 15 * k), str(epoch), 13 * k, colour=GREY)
    pen.line((x0, y1, x0, y0, x1, y0), GREY, k)
    xs = np.interp(points[:, 0], (0, last), (x0, x1))
    ys = np.interp(points[:, 1], ticks[[0, -1]], (y0, y1))
    pen.line([*zip(xs, ys)], BLUE, 2 * k, joint="curve")
    for x, y in zip(xs, ys):
        pen.circle((x, y), (4 if len(xs) < 20 else 2) * k, BLUE)
    write(pen, ((x0 + x1) / 2, y0 + 34 * k), "epoch", 14 * k)


def choose_ticks(low: float, high: float) -> np.ndarray:
    """Return about six round numbers, the first at or below `low`, the last above."""
    step = min((0.1, 0.2, 0.5, 1, 2, 5, 10), key=lambda s: abs((high - low) / s - 5))
    return step * np.arange(low // step, high // step + 2)


def draw_curve(path: Path) -> Image.Image:
    """Draw the loss and the test accuracy of one training run."""
    k = 3  # drawn larger and scaled down: smooth lines
    sheet, pen = new_sheet(800 * k, 305 * k)
    losses, accuracies = read_log(path)
    write(pen, (213 * k, 22 * k), "training loss of one batch", 16 * k)
    draw_panel(pen, losses, 55, choose_ticks(0, losses[:, 1].max()), k)
    write(pen, (615 * k, 22 * k), "test accuracy in %", 16 * k)
    ticks = choose_ticks(accuracies[:, 1].min(), accuracies[:, 1].max())
    draw_panel(pen, accuracies, 457, ticks, k)
    return sheet.resize((800, 305), Image.Resampling.BOX)


def draw_mistakes(
    images: torch.Tensor, labels: torch.Tensor, answers: torch.Tensor
) -> Image.Image:
    """Draw each wrongly answered image with the answer and the truth, by truth."""
    wrong = (answers != labels).nonzero()[:, 0]
    wrong = wrong[labels[wrong].argsort(stable=True)].tolist()
    columns, size, width, height = 10, 64, 77, 92
    rows = max(1, -(-len(wrong) // columns))
    sheet, pen = new_sheet(columns * width + 12, rows * height + 16)
    for i, place in enumerate(wrong):
        x, y = 12 + width * (i % columns), 12 + height * (i // columns)
        sheet.paste(Image.fromarray(images[place].numpy()).resize((size, size)), (x, y))
        caption = f"{answers[place]} not {labels[place]}"
        write(pen, (x + size / 2, y + size + 11), caption, 14)
    return sheet


def draw_paper(generator: np.random.Generator, side: int) -> Image.Image:
    """Draw ruled, off-white paper (side, side) with a little grain."""
    paper = Image.new("RGB", (side, side), (238, 234, 222))
    pen = ImageDraw.Draw(paper)
    for y in range(40, side, 62):
        pen.line((0, y, side, y), (196, 206, 216), 2)
    grain = generator.normal(0, 2, (side, side, 1))
    return Image.fromarray(np.uint8(np.clip(np.asarray(paper) + grain, 0, 255)))


def draw_photo(image: torch.Tensor) -> Image.Image:
    """Make what a phone would see, had someone written this digit on ruled paper."""
    generator = np.random.default_rng(0)
    width, height, side, size = 800, 600, 1100, 420
    paper = draw_paper(generator, side)
    digit = Image.fromarray(image.numpy()).resize((size, size))
    smooth = np.float32(digit.filter(ImageFilter.GaussianBlur(8)))
    edge = np.clip((smooth - 125) / 20, 0, 1)  # sharp, as the edge of ink is
    mask = Image.fromarray(np.uint8(235 * edge))
    paper.paste((24, 38, 112), ((side - size) // 2, (side - size) // 2), mask)
    paper = paper.rotate(7, Image.Resampling.BICUBIC)
    left, top = (side - width) // 2, (side - height) // 2
    paper = paper.crop((left, top, left + width, top + height))
    y, x = np.mgrid[:height, :width] / height
    light = 1.02 - 0.25 * np.hypot(x - 0.35, y - 0.2)  # a lamp, above on the left
    shadow = 0.28 / (1 + np.exp((1.5 - x - 0.45 * y) / 0.05))  # of the phone
    seen = np.asarray(paper.filter(ImageFilter.GaussianBlur(0.8)))
    seen = seen * (light * (1 - shadow))[..., None] * (1, 0.98, 0.93)
    seen += generator.normal(0, 3, seen.shape)
    return Image.fromarray(np.uint8(np.clip(seen, 0, 255)))


def draw_seen(path: Path, model: ConvNet) -> Image.Image:
    """Draw a photograph and, beside it, the 28x28 pixels that demo.py makes of it."""
    sheet, pen = new_sheet(764, 344)
    pixels, _, probabilities = classify(model, read_grey(path))
    with Image.open(path) as photo:
        small = photo.resize((400, 300)).quantize(100)  # a small file
    sheet.paste(small.convert("RGB"), (10, 10))
    sheet.paste(enlarge(pixels, 280), (474, 20))
    draw_arrow(pen, 420, 464, 160)
    answer = np.argmax(probabilities)
    write(pen, (210, 327), "photo.jpg, a synthetic photograph")
    write(pen, (614, 327), f"what the network saw; its answer: {answer}")
    return sheet


def main(argv: list[str] | None = None) -> None:
    """Load data and weights, draw and save all pictures."""
    parser = argparse.ArgumentParser(description="Draw the pictures of the README.")
    parser.add_argument("--model", type=Path, default=WEIGHTS_FILE, help="weights")
    parser.add_argument("--data-dir", type=Path, default="data", help="folder of MNIST")
    parser.add_argument("--log", type=Path, help="output of train.py, for curve.png")
    args = parser.parse_args(argv)
    try:
        model = load_model(args.model)
        train_set, (images, labels) = load_mnist(args.data_dir)
        answers = predict(model, images)
        example = images[EXAMPLE]
        save(draw_network(model, example), "network.png")
        preview = draw_preview(images[:100].numpy(), labels.tolist())
        save(preview.convert("RGB"), "preview.png")
        save(draw_digits(*train_set), "digits.png")
        save(draw_filters(model, example), "filters.png")
        if args.log:
            save(draw_curve(args.log), "curve.png")
        save(draw_mistakes(images, labels, answers), "mistakes.png")
        draw_photo(example).save(DOCS / "photo.jpg", quality=85)
        save(draw_seen(DOCS / "photo.jpg", model), "seen.png")
    except (OSError, ValueError) as error:
        sys.exit(f"pictures.py: {error}")


if __name__ == "__main__":
    main()
