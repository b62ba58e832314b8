"""Draw the pictures of the README from this project's own data, weights and figures.

    python train.py > train.log
    python docs/pictures.py --log train.log --output docs
    python docs/pictures.py --photo my.jpg --output mine

The first draws all of them; curve.png needs a log of train.py, and draw.png a display
(xvfb-run -a -s "-screen 0 1000x700x24" gives a computer without a screen one). photo.jpg
is not a real photograph: it is a test digit, drawn on ruled paper.

With --photo, only network.png and steps.png are drawn, for a picture of your own.
"""

import argparse
import math
import os
import re
import sys
import time
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from PIL import Image, ImageGrab
from torch import Tensor
from torch.optim.lr_scheduler import OneCycleLR

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from drawing import draw_picture

import prepare
from demo import load_model, open_picture, to_grey
from model import WEIGHTS_FILE, ConvNet
from train import add_flags, distort, load_mnist, to_input

EXAMPLE = 15  # the test image, a 5, that most pictures show


def draw_grid(
    pictures: list[np.ndarray], captions: list[str], columns: int, size: float
) -> Figure:
    """Draw grey pictures (H, W), `size` inches each, row by row with their captions."""
    rows = math.ceil(len(pictures) / columns)
    height = size + 0.16 * (1 + captions[0].count("\n"))
    figure = plt.figure(figsize=(columns * size, rows * height), layout="constrained")
    for place, (picture, caption) in enumerate(zip(pictures, captions), start=1):
        axis = figure.add_subplot(rows, columns, place)
        axis.imshow(picture, cmap="gray")
        axis.set_title(caption, fontsize=9, pad=3)
        axis.axis("off")
    return figure


def mosaic(maps: Tensor) -> np.ndarray:
    """Lay the first 16 of the maps (C, H, W) out in four rows, each with a border."""
    tiles = []
    for channel in maps[:16]:
        brightness = channel.clamp(min=0) / channel.max().clamp(min=1e-9)
        tiles.append(np.pad(brightness.numpy(), 1, constant_values=0.4))
    return np.vstack([np.hstack(tiles[i : i + 4]) for i in range(0, 16, 4)])


@torch.inference_mode()
def draw_network(model: ConvNet, pixels: Tensor) -> Figure:
    """Draw what each step of the network makes of one picture (28, 28) in [0, 1]."""
    values = pixels[None, None]
    pictures = [pixels.numpy()]
    captions = ["input\n1 x 28 x 28"]

    for layer in (model.layer1, model.layer2):
        for name, part in (("conv, norm, ReLU", layer[:3]), ("max-pool", layer[3:])):
            values = part(values)
            pictures.append(mosaic(values[0]))
            some = "16 of " if len(values[0]) > 16 else ""
            captions.append(f"{name}\n{some}{' x '.join(map(str, values[0].shape))}")

    chances = model.fc(values.flatten(1)).softmax(1)[0]
    figure = draw_grid([*pictures, np.zeros((1, 1))], [*captions, ""], 6, size=1.4)
    axis = figure.axes[-1]
    axis.clear()
    axis.barh(range(10), chances, color="black")
    axis.set(yticks=range(10), xticks=[], xlim=(0, 1), frame_on=False, aspect="auto")
    axis.tick_params(labelsize=7, length=0)
    axis.invert_yaxis()
    axis.set_title("linear, softmax\n10 probabilities", fontsize=9, pad=3)
    return figure


def draw_digits(images: Tensor, labels: Tensor) -> Figure:
    """Draw the first 20 training images of each class, a row for each class."""
    rows = [torch.hstack([*images[labels == digit][:20]]) for digit in range(10)]
    figure, axis = plt.subplots(figsize=(8, 4.1), layout="constrained")
    axis.imshow(torch.vstack(rows), cmap="gray")
    axis.set(xticks=[], yticks=range(14, 280, 28), yticklabels=range(10))
    axis.tick_params(labelsize=12, length=0)
    return figure


@torch.inference_mode()
def draw_filters(model: ConvNet, pixels: Tensor) -> Figure:
    """Draw one filter of the first layer, where it responds to a picture, and all 16.

    The picture is (28, 28) in [0, 1]. The filter is the one that responds most to it.
    """
    filters = model.layer1[0].weight[:, 0]
    responses = model.layer1[:2](pixels[None, None])[0]
    strongest = responses.flatten(1).amax(1).argmax()

    figure = plt.figure(figsize=(8, 5.2), layout="constrained")
    large, small = figure.subfigures(2, 1, height_ratios=[3, 2])
    one, picture, response = large.subplots(1, 3)
    draw_signed(one, filters[strongest])
    one.set_title("one filter, 5 x 5", fontsize=11)
    picture.imshow(pixels, cmap="gray")
    picture.set_title("a picture, 28 x 28", fontsize=11)
    picture.axis("off")
    draw_signed(response, responses[strongest])
    response.set_title("its response, 28 x 28", fontsize=11)

    small.suptitle("all 16 filters: blue is positive, red is negative", fontsize=11)
    for axis, weights in zip(small.subplots(2, 8).flat, filters):
        draw_signed(axis, weights)
    return figure


def draw_signed(axis: plt.Axes, values: Tensor) -> None:
    """Draw values (H, W) in blue where they are positive, red where negative."""
    limit = values.abs().max()
    axis.imshow(values, cmap="RdBu", vmin=-limit, vmax=limit)
    axis.axis("off")


def draw_flags(images: Tensor, labels: Tensor) -> Figure:
    """Draw ten training 1s with the flags that train.py gives them."""
    torch.manual_seed(0)
    ones = (labels == 1).nonzero()[20:40, 0]
    flagged = add_flags(images[ones], labels[ones])[::2]
    return draw_grid([*flagged], [""] * 10, columns=10, size=0.8)


def draw_distorted(image: Tensor) -> Figure:
    """Draw one image (28, 28) uint8 and ten of its distortions."""
    torch.manual_seed(0)
    distorted = distort(image.expand(10, 28, 28))[:, 0]
    captions = ["as it is", *([""] * 10)]
    return draw_grid([image, *distorted], captions, columns=11, size=0.75)


def learning_rates(epochs: int) -> list[float]:
    """Return the learning rate in each of train.py's steps, 600 in each epoch."""
    optimizer = torch.optim.AdamW([torch.zeros(1)], lr=0.01)
    scheduler = OneCycleLR(
        optimizer,
        max_lr=0.01,
        total_steps=600 * epochs,
        pct_start=0.15,
        cycle_momentum=False,
    )

    rates = []
    for _ in range(600 * epochs):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return rates


def draw_curve(log: Path) -> Figure:
    """Draw loss, learning rate and accuracy of the run whose output is in `log`."""
    text = log.read_text()
    losses = re.findall(r"Loss: ([\d.]+)", text)  # six in each epoch
    accuracies = re.findall(r"test accuracy ([\d.]+) %", text)
    rates = learning_rates(epochs=len(accuracies))

    figure, (left, middle, right) = plt.subplots(
        1, 3, figsize=(9, 2.6), layout="constrained"
    )
    left.plot(np.arange(1, len(losses) + 1) / 6, np.float64(losses))
    left.set_title("training loss of one batch")
    middle.plot(np.arange(len(rates)) / 600, rates)
    middle.set_title("learning rate")
    right.plot(range(1, len(accuracies) + 1), np.float64(accuracies), "o-")
    right.set_title("test accuracy in %")
    for axis in (left, middle, right):
        axis.set(xlabel="epoch", xticks=range(len(accuracies) + 1))
    return figure


def draw_mistakes(model: ConvNet, images: Tensor, labels: Tensor) -> Figure:
    """Draw each wrongly answered image with the answer and the truth, by truth."""
    with torch.inference_mode():
        parts = [model(to_input(batch)).argmax(1) for batch in images.split(1000)]
    answers = torch.cat(parts)
    wrong = (answers != labels).nonzero()[:, 0]
    wrong = wrong[labels[wrong].argsort(stable=True)]
    captions = [f"{answers[place]} not {labels[place]}" for place in wrong]
    return draw_grid([*images[wrong]], captions, columns=12, size=0.7)


def draw_steps(picture: Tensor) -> Figure:
    """Draw what each step of prepare.py makes of a picture (H, W) in [0, 1]."""
    sheet = prepare.inside_sheet(picture)
    small = prepare.scale(sheet, prepare.SIDE)
    ink = prepare.find_ink(small)
    unruled = prepare.without_lines(ink)
    digit, _ = prepare.find_digit(sheet)
    crop = prepare.inside_sheet(prepare.closer(sheet, digit))
    closer, _ = prepare.find_digit(crop)
    wide = prepare.widen_strokes(closer)

    steps = {
        "the picture": picture,
        "1. sheet": sheet,
        "2. ink: the paper": prepare.find_paper(small),
        "2. ink": ink,
        "3. lines": unruled,
        "4. digit: threshold": prepare.is_ink(unruled),
        "4. digit": digit,
        "5. closer": closer,
        "6. width": wide,
        "7. centre": prepare.centre(wide),
    }
    figure = draw_grid([*steps.values()], [*steps], columns=5, size=1.6)
    for axis in figure.axes[:3]:
        axis.images[0].set_clim(0, 1)  # white paper looks white
    return figure


def draw_quarters() -> Figure:
    """Draw how find_paper finds the paper of one pixel, on a small shaded page."""
    down, across = np.mgrid[:7, :7]
    page = 95 - 7 * across - 2 * down  # in percent: a shadow comes in from the right
    for place in [(1, 2), (1, 3), (1, 4), (2, 4), (3, 4), (4, 3), (5, 3)]:  # a 7
        page[place] -= 40
    row, column = 3, 4  # of the pixel, a part of the 7
    quarters = {  # rows and columns; each includes those of the pixel
        "top left": (0, 4, 0, 5),
        "top right": (0, 4, 4, 7),
        "bottom left": (3, 7, 0, 5),
        "bottom right": (3, 7, 4, 7),
    }

    figure, (axis, legend) = plt.subplots(
        1, 2, figsize=(8, 4.4), width_ratios=[5, 4], layout="constrained"
    )
    axis.imshow(page, cmap="gray", vmin=0, vmax=100)
    axis.axis("off")
    for (y, x), brightness in np.ndenumerate(page):
        color = "black" if brightness > 40 else "white"
        axis.text(x, y, brightness, ha="center", va="center", color=color, fontsize=12)

    lines = [(f"this pixel: {page[row, column]}%", "black")]
    lines.append(("the brightest cell in each quarter:", "black"))
    brightest = []
    for i, (name, (top, bottom, left, right)) in enumerate(quarters.items()):
        color = f"C{i}"
        inset = 0.05 * i  # side by side, not one on top of the other
        corner = left - 0.5 + inset, top - 0.5 + inset
        size = right - left - 2 * inset, bottom - top - 2 * inset
        axis.add_patch(Rectangle(corner, *size, fill=False, color=color, linewidth=3))

        quarter = page[top:bottom, left:right]
        y, x = np.unravel_index(quarter.argmax(), quarter.shape)
        place = left + x, top + y
        axis.add_patch(Circle(place, 0.3, fill=False, color=color, linewidth=3))
        brightest.append(quarter.max())
        lines.append((f"    {name}: {quarter.max()}%", color))
    axis.plot(column, row, "ys", markersize=26, fillstyle="none", markeredgewidth=3)

    paper = min(brightest)
    lines.append((f"its paper, the darkest of the four: {paper}%", "black"))
    lines.append((f"its ink: {paper}% - {page[row, column]}%", "black"))
    legend.axis("off")
    for i, (text, color) in enumerate(lines):
        legend.text(0, 0.9 - 0.11 * i, text, color=color, fontsize=12)
    return figure


def save_window(model: ConvNet, path: Path) -> None:
    """Draw a 5 with the mouse in the window of draw.py, and save a screenshot."""
    from draw import PAUSE, Window  # here, because not every computer has tkinter

    window = Window(model)
    window.update()
    angles = np.linspace(-2, 2.4, 20)
    bowl = zip(165 + 65 * np.cos(angles), 200 + 70 * np.sin(angles))
    window.page.event_generate("<Button-1>", x=225, y=70)
    for x, y in [(135, 70), (125, 145), *bowl]:
        window.page.event_generate("<B1-Motion>", x=int(x), y=int(y))
        window.update()

    time.sleep(2 * PAUSE / 1000)
    window.update()
    left, upper = window.winfo_rootx(), window.winfo_rooty()
    right, lower = left + window.winfo_width(), upper + window.winfo_height()
    ImageGrab.grab((left, upper, right, lower)).save(path)
    window.destroy()


def draw_all(model: ConvNet, folder: Path) -> dict[str, Figure]:
    """Save photo.jpg in a folder, and return the figures of the README by name."""
    train_images, train_labels = load_mnist(train=True)
    images, labels = load_mnist(train=False)
    example = images[EXAMPLE]

    levels = draw_picture(example.numpy(), "ruled", np.random.default_rng(3))
    photo = folder / "photo.jpg"
    Image.fromarray(levels).save(photo)

    return {
        "network": draw_network(model, example / 255),
        "digits": draw_digits(train_images, train_labels),
        "filters": draw_filters(model, example / 255),
        "flags": draw_flags(train_images, train_labels),
        "distorted": draw_distorted(example),
        "mistakes": draw_mistakes(model, images, labels),
        "quarters": draw_quarters(),
        "steps": draw_steps(to_grey(open_picture(photo))),
    }


def main(argv: list[str] | None = None) -> None:
    """Load data and weights, draw and save all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=WEIGHTS_FILE, help="weights")
    parser.add_argument("--log", type=Path, help="output of train.py, for curve.png")
    parser.add_argument("--photo", type=Path, help="your own, for two pictures of it")
    parser.add_argument("--output", type=Path, required=True, help="folder")
    args = parser.parse_args(argv)

    matplotlib.use("Agg")  # draws into files only, needs no display
    plt.rcParams |= {"axes.spines.top": False, "axes.spines.right": False}
    args.output.mkdir(parents=True, exist_ok=True)
    model = load_model(args.model)

    if args.photo:
        picture = to_grey(open_picture(args.photo))
        pixels, _ = prepare.prepare(picture)
        figures = {
            "network": draw_network(model, pixels),
            "steps": draw_steps(picture),
        }
    else:
        figures = draw_all(model, args.output)
    if args.log:
        figures["curve"] = draw_curve(args.log)

    for name, figure in figures.items():
        figure.savefig(args.output / f"{name}.png", dpi=110)

    if not args.photo and os.environ.get("DISPLAY"):
        save_window(model, args.output / "draw.png")
    elif not args.photo:
        print("draw.png is left out, it needs a display: try xvfb-run")


if __name__ == "__main__":
    main()
