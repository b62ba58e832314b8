"""Draw the pictures of the README from this project's own data, weights and figures.

    python train.py > train.log
    python docs/pictures.py --log train.log

Writes photo.jpg, network.png, digits.png, filters.png, distorted.png, mistakes.png,
steps.png and, from a log of train.py, curve.png. photo.jpg is not a real photograph: it
is a test digit, drawn on ruled paper.
"""

import argparse
import math
import re
import sys
from contextlib import redirect_stdout
from pathlib import Path
from unittest import mock

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor
from torch.optim.lr_scheduler import OneCycleLR

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))

from photos import draw_page, photograph

import prepare
from demo import load_model, read_grey
from model import WEIGHTS_FILE, ConvNet
from train import LabelledImages, distort, load_mnist, to_input, train

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
def draw_network(model: ConvNet, image: Tensor) -> Figure:
    """Draw what each step of the network makes of one image (28, 28) uint8."""
    values = to_input(image[None])
    pictures = [image.numpy()]
    captions = ["input\n1 x 28 x 28"]

    for layer in (model.layer1, model.layer2):
        for name, part in (("conv, norm, ReLU", layer[:3]), ("max-pool", layer[3:])):
            values = part(values)
            pictures.append(mosaic(values[0]))
            some = "16 of " if len(values[0]) > 16 else ""
            captions.append(f"{name}\n{some}{' x '.join(map(str, values[0].shape))}")

    chances = model.fc(values.flatten(1)).softmax(1)[0]
    figure = draw_grid([*pictures, np.zeros((1, 1))], [*captions, ""], 6, size=1.6)
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
def draw_filters(model: ConvNet, image: Tensor) -> Figure:
    """Draw the first layer's filters, blue is positive, each beside its map of a 5."""
    filters = model.layer1[0].weight[:, 0]
    maps = model.layer1[:3](to_input(image[None]))[0]
    figure, axes = plt.subplots(4, 8, figsize=(8, 4.1), layout="constrained")
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])

    for i in range(16):
        left, right = axes.flat[2 * i : 2 * i + 2]
        limit = filters[i].abs().max()
        left.imshow(filters[i], cmap="RdBu", vmin=-limit, vmax=limit)
        right.imshow(maps[i], cmap="gray")
    return figure


def draw_distorted(image: Tensor) -> Figure:
    """Draw one image (28, 28) uint8 and ten of its distortions."""
    torch.manual_seed(0)
    distorted = distort(image.expand(10, 28, 28))[:, 0]
    captions = ["as it is", *([""] * 10)]
    return draw_grid([image, *distorted], captions, columns=11, size=0.75)


def learning_rates(data: LabelledImages, epochs: int) -> list[float]:
    """Return the learning rate after each of train.py's steps, 600 in each epoch."""
    rates = []

    class Recorder(OneCycleLR):
        def step(self) -> None:
            super().step()
            rates.append(self.get_last_lr()[0])

    tiny = data[0][:600], data[1][:600]
    patch = mock.patch("torch.optim.lr_scheduler.OneCycleLR", Recorder)
    with patch, redirect_stdout(None):
        train(tiny, tiny, epochs=epochs, batch_size=1, lr=0.01)
    return rates


def draw_curve(log: Path, data: LabelledImages) -> Figure:
    """Draw loss, learning rate and accuracy of the run whose output is in `log`."""
    text = log.read_text()
    losses = re.findall(r"Loss: ([\d.]+)", text)  # six in each epoch
    accuracies = re.findall(r"test accuracy ([\d.]+) %", text)
    rates = learning_rates(data, epochs=len(accuracies))

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


def draw_photo(image: Tensor) -> np.ndarray:
    """Draw the README's photograph (H, W) uint8: a digit on ruled paper."""
    rng = np.random.default_rng(3)
    return photograph(draw_page(image.numpy(), "ruled", rng), "ruled", rng)


def draw_steps(photo: Path) -> Figure:
    """Draw the steps of the preparation that change photo.jpg: all but the sheet."""
    picture = read_grey(photo)
    small = prepare.scale(picture, prepare.SIDE)
    ink = prepare.find_ink(small)
    unruled = prepare.without_lines(ink)
    digit, _ = prepare.find_digit(picture)
    closer, _ = prepare.find_digit(prepare.closer(picture, digit))

    steps = {
        "photo.jpg": picture,
        "2. the paper": prepare.find_paper(small),
        "2. the ink": ink,
        "3. no lines": unruled,
        "4. threshold": unruled >= prepare.otsu_threshold(unruled),
        "4. the digit": digit,
        "5. closer": closer,
        "6. width": prepare.widen_strokes(closer),
        "7. centre": prepare.prepare(picture)[0],
    }
    figure = draw_grid([*steps.values()], [*steps], columns=9, size=1.05)
    figure.axes[1].images[0].set_clim(0, 1)  # the paper is bright
    return figure


def main(argv: list[str] | None = None) -> None:
    """Load data and weights, draw and save all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=WEIGHTS_FILE, help="weights")
    parser.add_argument("--log", type=Path, help="output of train.py, for curve.png")
    parser.add_argument("--output", type=Path, default=DOCS, help="folder")
    args = parser.parse_args(argv)

    plt.rcParams |= {"axes.spines.top": False, "axes.spines.right": False}
    model = load_model(args.model)
    train_set = load_mnist(train=True)
    images, labels = load_mnist(train=False)
    example = images[EXAMPLE]
    photo = args.output / "photo.jpg"
    Image.fromarray(draw_photo(example)).save(photo)

    figures = {
        "network": draw_network(model, example),
        "digits": draw_digits(*train_set),
        "filters": draw_filters(model, example),
        "distorted": draw_distorted(example),
        "mistakes": draw_mistakes(model, images, labels),
        "steps": draw_steps(photo),
    }
    if args.log:
        figures["curve"] = draw_curve(args.log, train_set)
    for name, figure in figures.items():
        figure.savefig(args.output / f"{name}.png", dpi=110)


if __name__ == "__main__":
    main()
