"""demo.py: any picture of a digit is read, and what a user gets wrong."""

import io
import struct
import zlib

import numpy as np
import pytest
import torch
from conftest import run, sentence_of
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageOps

import demo
import prepare
from model import ConvNet

STROKES = {
    1: [(150, 60), (150, 240)],
    4: [(190, 250), (190, 60), (90, 190), (230, 190)],
    5: [
        (210, 60),
        (110, 60),
        (105, 140),
        (170, 130),
        (205, 175),
        (170, 235),
        (95, 225),
    ],
    7: [(90, 70), (210, 70), (140, 250)],
}


@pytest.fixture(scope="session")
def weights(trained):
    return trained[1]


def draw_digit(digit: int, width: int = 24, ink: int = 0, paper: int = 255):
    """Draw a digit by hand with a round pen, 300x300."""
    picture = Image.new("L", (300, 300), paper)
    draw, radius = ImageDraw.Draw(picture), width // 2
    draw.line(STROKES[digit], ink, width)
    for x, y in STROKES[digit]:
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), ink)
    return picture


def answer(picture, weights, tmp_path, capsys, name="picture.png", **options):
    """Return the last line that demo.py prints for a picture, and its warnings."""
    picture.save(tmp_path / name, **options)
    demo.main([str(tmp_path / name), "--model", str(weights)])
    printed = capsys.readouterr()
    return printed.out.splitlines()[-1], printed.err


def test_the_output_is_what_the_readme_promises(weights, tmp_path):
    draw_digit(4).save(tmp_path / "four.png")
    result = run("demo.py", tmp_path / "four.png", "--model", weights)
    assert (result.returncode, result.stderr) == (0, "")
    first, *rows, likeliest, second, third, last = result.stdout.splitlines()
    assert first == f"Loaded the weights of {weights}"
    assert len(rows) == 28 and all(len(row) == 56 and row.isascii() for row in rows)
    chances = [line.split(": ") for line in (likeliest, second, third)]
    percents = [float(chance.removesuffix("%")) for _, chance in chances]
    assert chances[0][0] == last == "4" and percents == sorted(percents)[::-1]


def test_without_a_name_it_takes_picture_12_of_resolve(weights, tmp_path, test_set):
    (tmp_path / "test").mkdir()
    Image.fromarray(test_set[0][12]).save(tmp_path / "test" / "12.png")
    result = run("demo.py", "--model", weights, cwd=tmp_path)
    assert result.returncode == 0 and result.stdout.splitlines()[-1] == "9"


def test_all_mnist_pictures_reach_the_network_unchanged(test_set):
    """So demo.py's answers to them have the accuracy that train.py prints."""
    for image in test_set[0]:
        pixels, others = prepare.prepare(image)
        assert pixels is image and others == 0


def test_a_prepared_picture_has_mnists_form(test_set):
    for image in test_set[0][:50]:
        large = ImageOps.expand(Image.fromarray(image).resize((150, 150)), 40)
        grey = np.asarray(ImageOps.invert(large))
        before = grey.copy()
        pixels, others = prepare.prepare(grey)
        assert pixels.shape == (28, 28) and pixels.dtype == np.uint8 and others == 0
        assert pixels.max() == 255 and np.array_equal(grey, before)
        ys, xs = np.nonzero(pixels)
        assert max(np.ptp(ys), np.ptp(xs)) in (18, 19)
        for places in (ys, xs):
            centre = np.average(places, weights=pixels[ys, xs])
            assert abs(centre - 14) < 0.6


def test_enlarged_scans_of_test_images_are_read_as_the_originals(weights, test_set):
    model = demo.load_model(weights)
    prepared = []
    for image in test_set[0][:300]:
        page = ImageOps.expand(Image.fromarray(255 - image).resize((150, 150)), 40, 255)
        prepared.append(prepare.prepare(np.asarray(page))[0])
    images = torch.tensor(np.array(prepared)[:, None] / 255, dtype=torch.float32)
    with torch.inference_mode():
        right = model(images).argmax(1).numpy() == test_set[1][:300]
    assert right.mean() > 0.97


def orientation(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def transparent(picture, colour):
    layer = Image.new("RGB", picture.size, colour)
    layer.putalpha(ImageOps.invert(picture))
    return layer


FORMATS = {
    "1-bit": lambda p: p.convert("1"),
    "palette": lambda p: p.convert("P"),
    "colour": lambda p: p.convert("RGB"),
    "grey and alpha": lambda p: p.convert("LA"),
    "black on transparent": lambda p: transparent(p, "black"),
    "white on transparent": lambda p: transparent(p, "white"),
    "16-bit": lambda p: Image.fromarray(np.uint16(np.asarray(p)) * 257),
    "12 of 16 bits": lambda p: Image.fromarray(np.uint16(np.asarray(p)) * 16),
}


@pytest.mark.parametrize("form", FORMATS)
def test_every_kind_of_png_is_read(form, weights, tmp_path, capsys):
    picture = FORMATS[form](draw_digit(5))
    assert answer(picture, weights, tmp_path, capsys) == ("5", "")


@pytest.mark.parametrize(
    "name, mode", [("x.jpg", "CMYK"), ("x.gif", "P"), ("x.webp", "RGB"), ("x.tif", "F")]
)
def test_other_formats_are_read(name, mode, weights, tmp_path, capsys):
    picture = draw_digit(7).convert(mode)
    assert answer(picture, weights, tmp_path, capsys, name) == ("7", "")


def test_a_picture_is_turned_as_the_camera_noted(weights, tmp_path, capsys):
    picture = draw_digit(7).rotate(90, expand=True)
    exif = orientation(6)
    result = answer(picture, weights, tmp_path, capsys, "x.jpg", exif=exif)
    assert result == ("7", "")


def light(p):
    """Light that falls off to a third from one side to the other."""
    return Image.fromarray(np.uint8(np.asarray(p) * np.linspace(1, 0.35, p.width)))


def noisy(p):
    noise = np.random.default_rng(0).normal(0, 12, (p.height, p.width))
    return Image.fromarray(np.uint8((np.asarray(p) * 0.4 + 40 + noise).clip(0, 255)))


def ruled(p):
    lines = np.asarray(p).copy()
    lines[::40] = np.minimum(lines[::40], 190)
    return Image.fromarray(lines)


SITUATIONS = {
    "as drawn": lambda p: p,
    "white on black": ImageOps.invert,
    "pencil": lambda p: Image.fromarray(np.uint8(np.asarray(p) * 0.25 + 150)),
    "light from one side": light,
    "dark and noisy": noisy,
    "on ruled paper": ruled,
    "small in a corner": lambda p: ImageOps.expand(p, (0, 0, 500, 700), 255),
    "28 pixels": lambda p: p.resize((28, 28), Image.Resampling.BOX),
    "a sheet on a desk": lambda p: ImageOps.expand(p, 150, 30),
    "a dark square": lambda p: ImageOps.expand(ImageOps.invert(p), 150, 255),
    "12 megapixels": lambda p: p.resize((3500, 3500)),
}


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("digit", STROKES)
def test_a_digit_is_read_in_every_situation(
    digit, situation, weights, tmp_path, capsys
):
    for width in (12, 24):
        picture = SITUATIONS[situation](draw_digit(digit, width))
        assert answer(picture, weights, tmp_path, capsys)[0] == str(digit)


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_on_a_blank_page_there_is_nothing_to_read(grey, weights, tmp_path, capsys):
    noise = np.random.default_rng(0).integers(-6, 7, (300, 400))
    for page in (np.full((300, 400), grey), (grey + noise).clip(0, 255)):
        Image.fromarray(np.uint8(page)).save(tmp_path / "blank.png")
        options = [tmp_path / "blank.png", "--model", weights]
        sentence = sentence_of(demo.main, *options, capsys=capsys)
        assert "blank.png: nothing to read" in sentence


def test_it_says_when_there_are_several_digits(weights, tmp_path, capsys):
    both = np.hstack([draw_digit(5), draw_digit(5)])
    assert "several" in answer(Image.fromarray(both), weights, tmp_path, capsys)[1]


def test_it_says_when_an_answer_is_unsure(tmp_path, capsys):
    torch.save(ConvNet().state_dict(), tmp_path / "untrained.ckpt")
    _, error = answer(draw_digit(5), tmp_path / "untrained.ckpt", tmp_path, capsys)
    assert "unsure" in error


def png_bytes():
    file = io.BytesIO()
    draw_digit(5).save(file, "PNG")
    return file.getvalue()


def huge_png():
    """A header that promises 10 billion pixels, and no data."""

    def chunk(name, data):
        size, check = len(data), zlib.crc32(name + data)
        return struct.pack(">I", size) + name + data + struct.pack(">I", check)

    header = struct.pack(">2I5B", 100_000, 100_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"")


BROKEN_PICTURES = {
    "empty": (b"", "picture"),
    "text": (b"5", "picture"),
    "truncated": (png_bytes()[:300], "truncated"),
    "too large": (huge_png(), "178956970"),
    "HEIC": (b"\0\0\0\x18ftypheic" + bytes(99), "JPEG"),
    "missing": (None, "no such file"),
}


@pytest.mark.parametrize("how", BROKEN_PICTURES)
def test_a_broken_picture_ends_in_a_sentence(how, weights, tmp_path, capsys):
    data, word = BROKEN_PICTURES[how]
    path = tmp_path / "picture.jpg"
    if data is not None:
        path.write_bytes(data)
    sentence = sentence_of(demo.main, path, "--model", weights, capsys=capsys)
    assert str(path) in sentence and word in sentence


def test_a_folder_is_named_as_such(weights, tmp_path, capsys):
    sentence = sentence_of(demo.main, tmp_path, "--model", weights, capsys=capsys)
    assert "directory" in sentence


def bad_weights(how, weights, path):
    state = torch.load(weights, weights_only=True)
    if how == "damaged":
        state["fc.bias"] = torch.full((10,), float("nan"))
    if how == "wrapped":
        state = {"model": state}
    if how == "sizes":
        state["fc.bias"] = torch.zeros(11)
    if how == "model":
        state = ConvNet()
    if how != "missing":
        torch.save(state, path)
    if how in ("empty", "text", "truncated"):
        sizes = {"empty": 0, "truncated": 5000}
        data = b"weights" if how == "text" else path.read_bytes()[: sizes[how]]
        path.write_bytes(data)


@pytest.mark.parametrize(
    "how",
    ["empty", "text", "truncated", "missing", "damaged", "wrapped", "sizes", "model"],
)
def test_weights_that_do_not_fit_end_in_a_sentence(how, weights, tmp_path, capsys):
    path = tmp_path / "bad.ckpt"
    bad_weights(how, weights, path)
    draw_digit(5).save(tmp_path / "x.png")
    options = [tmp_path / "x.png", "--model", path]
    sentence = sentence_of(demo.main, *options, capsys=capsys)
    assert str(path) in sentence and "train.py" in sentence


@given(st.lists(st.integers(0, 40), min_size=2, max_size=99), st.integers(0, 9))
def test_otsus_threshold_is_the_best_of_all(values, other):
    values = np.array([*values, other, other + 50], float)
    found = prepare.otsu_threshold(values)

    def variance(t):
        low, high = values[values < t], values[values >= t]
        if not len(low) or not len(high):
            return 0
        return len(low) * len(high) * (low.mean() - high.mean()) ** 2

    assert variance(found) == pytest.approx(max(map(variance, values)))


@given(st.integers(0, 2**32 - 1), st.floats(0.2, 0.7))
def test_connected_components_are_those_of_a_flood_fill(seed, share):
    mask = np.random.default_rng(seed).random((12, 15)) < share
    labels = prepare.connected_components(mask)
    assert np.array_equal(labels > 0, mask)
    left = {*map(tuple, np.argwhere(mask))}
    while left:
        stack = [left.pop()]
        component = {*stack}
        while stack:
            y, x = stack.pop()
            near = {(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= near
            component |= near
            stack += near
        number = labels[min(component)]
        assert {*map(tuple, np.argwhere(labels == number))} == component
