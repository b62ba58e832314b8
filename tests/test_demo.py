"""demo.py and prepare.py: any picture of a digit is read, each step is needed."""

import math
import pickle
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT, run, sentence_of
from PIL import ExifTags, Image, ImageDraw, ImageFilter, ImageOps

import demo
import prepare
from model import ConvNet

STROKES = {
    1: [(150, 60), (150, 240)],
    4: [(190, 250), (190, 60), (90, 190), (230, 190)],
    5: [(210, 60), (110, 60), (99, 140), (170, 130), (205, 175), (170, 235), (95, 225)],
    7: [(90, 70), (210, 70), (140, 250)],
}


@pytest.fixture(scope="session")
def weights(trained):
    return trained[1]


@pytest.fixture
def ask(weights, tmp_path, capsys):
    """Return the last line that demo.py prints for a picture, and its warnings."""

    def call(picture, name="picture.png", weights=weights, **options):
        picture.save(tmp_path / name, **options)
        demo.main([str(tmp_path / name), "--model", str(weights)])
        printed = capsys.readouterr()
        return printed.out.splitlines()[-1], printed.err

    return call


def draw_digit(digit: int, width: int = 24) -> Image.Image:
    """Draw a digit by hand with a round pen, black on white, 300x300."""
    picture = Image.new("L", (300, 300), 255)
    draw, radius = ImageDraw.Draw(picture), width // 2
    draw.line(STROKES[digit], 0, width)
    for x, y in STROKES[digit]:
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), 0)
    return picture


def to_picture(levels: np.ndarray) -> Image.Image:
    """Turn (H, W) in [0, 1] into a picture."""
    return Image.fromarray(np.uint8(255 * levels.clip(0, 1)))


# What it prints


def test_the_output_is_what_the_readme_promises(weights, tmp_path):
    draw_digit(4).save(tmp_path / "four.png")
    result = run("demo.py", tmp_path / "four.png", "--model", weights)
    assert (result.returncode, result.stderr) == (0, "")
    *rows, likeliest, second, third, last = result.stdout.splitlines()
    assert len(rows) == 28 and all(len(row) == 56 and row.isascii() for row in rows)
    chances = [line.split(": ") for line in (likeliest, second, third)]
    percents = [float(chance.removesuffix("%")) for _, chance in chances]
    assert chances[0][0] == last == "4" and percents == sorted(percents)[::-1]
    assert 50 < percents[0] <= sum(percents) <= 100.1
    corners = rows[0][:8] + rows[0][-8:] + rows[-1][:8] + rows[-1][-8:]
    assert corners.isspace() and "@@" in "".join(rows)  # white ink on black


def test_without_a_name_it_takes_picture_12_of_resolve(weights, tmp_path, test_set):
    (tmp_path / "test").mkdir()
    Image.fromarray(test_set[0][12]).save(tmp_path / "test" / "12.png")
    result = run("demo.py", "--model", weights, cwd=tmp_path)
    assert result.returncode == 0 and result.stdout.splitlines()[-1] == "9"


def test_the_network_is_in_eval_mode(weights):
    """In training mode, an answer would depend on the picture's own averages."""
    assert not any(part.training for part in demo.load_model(weights).modules())


def sure_of(probability, tmp_path):
    """Save weights that give a 3 this probability, whatever the picture."""
    state = {name: torch.zeros_like(x) for name, x in ConvNet().state_dict().items()}
    state["fc.bias"][3] = math.log(9 * probability / (1 - probability))
    torch.save(state, tmp_path / "sure.ckpt")
    return tmp_path / "sure.ckpt"


@pytest.mark.parametrize(
    ("probability", "is_unsure"), [(0.6, True), (0.9, False), (math.nan, True)]
)
def test_it_says_when_an_answer_is_unsure(probability, is_unsure, ask, tmp_path):
    digit, doubts = ask(draw_digit(5), weights=sure_of(probability, tmp_path))
    assert digit == "3" or math.isnan(probability)
    assert ("unsure" in doubts) == is_unsure


def test_each_doubt_is_a_line_of_its_own_beside_the_digit(ask, tmp_path):
    page = to_picture(beside(page_of(5), page_of(4)))
    digit, doubts = ask(page, weights=sure_of(0.6, tmp_path))
    several, unsure = doubts.splitlines()
    assert digit == "3"
    assert several.startswith("demo.py: several digits") and "unsure" in unsure


# MNIST's own pictures


def test_all_mnist_pictures_reach_the_network_as_they_are_from_0_to_1(test_set):
    """So demo.py's answers to them have the accuracy that train.py prints."""
    for image in torch.tensor(test_set[0]) / 255:
        pixels, doubts = prepare.prepare(image)
        assert torch.equal(pixels, image / image.max()) and doubts == []


def test_a_faint_picture_of_mnists_form_is_read_as_a_strong_one(test_set):
    for image in torch.tensor(test_set[0][:100]) / 255:
        pixels, doubts = prepare.prepare(image / 10)
        torch.testing.assert_close(pixels, image / image.max())
        assert doubts == []


def cut_out(picture):
    """Cut a digit out at its bounding box, without any paper around it."""
    return picture.crop(picture.getbbox())


OTHER_FORMS = {  # of MNIST's pictures
    "enlarged scans": lambda p: ImageOps.invert(
        ImageOps.expand(ImageOps.scale(p, 5), 40)
    ),
    "cut out": cut_out,
    "cut out and enlarged": lambda p: ImageOps.invert(ImageOps.scale(cut_out(p), 10)),
    "cut out and stretched": lambda p: cut_out(p).resize((28, 28)),
    "moved": lambda p: ImageOps.expand(cut_out(p), (0, 0, 28 - cut_out(p).width, 8)),
    "half as large": lambda p: ImageOps.expand(p.resize((14, 14)), 7),
    "on a larger page": lambda p: ImageOps.expand(p, (0, 0, 12, 12)),
}


@pytest.mark.parametrize("form", OTHER_FORMS)
def test_digits_in_other_forms_get_mnists_and_are_read(form, weights, test_set):
    prepared = []
    for image in test_set[0][:16]:
        picture = OTHER_FORMS[form](Image.fromarray(image))
        pixels, _ = prepare.prepare(torch.tensor(np.asarray(picture)) / 255)
        assert pixels.shape == (28, 28) and pixels.dtype == torch.float32
        assert pixels.min() == 0 and pixels.max() == 1

        places = pixels.numpy().nonzero()
        centre = np.average(places, axis=1, weights=pixels.numpy()[places])
        assert max(np.ptp(places, axis=1)) in (18, 19) and abs(centre - 14).max() < 0.6
        prepared.append(pixels)

    with torch.inference_mode():
        answers = demo.load_model(weights)(torch.stack(prepared)[:, None]).argmax(1)
    assert np.sum(answers.numpy() == test_set[1][:16]) >= 14


# Files of every kind


def transparent(picture, colour):
    layer = Image.new("RGB", picture.size, colour)
    layer.putalpha(ImageOps.invert(picture))
    return layer


def not_a_number(picture):
    levels = np.float32(picture)
    levels[:9, :9], levels[:9, -9:] = np.nan, np.inf
    return Image.fromarray(levels)


def dead_pixels(picture):
    """Mark pixels that a camera could not measure, as scientific files do."""
    levels = np.float32(picture)
    levels[10::40, 10::40] = -np.inf
    return Image.fromarray(levels)


FORMATS = {
    "1-bit.png": lambda p: p.convert("1"),
    "palette.gif": lambda p: p.convert("P"),
    "colour.webp": lambda p: p.convert("RGB"),
    "CMYK.jpg": lambda p: p.convert("CMYK"),
    "grey and alpha.png": lambda p: p.convert("LA"),
    "black on transparent.png": lambda p: transparent(p, "black"),
    "white on transparent.png": lambda p: transparent(p, "white"),
    "16-bit.png": lambda p: Image.fromarray(np.uint16(np.asarray(p)) * 257),
    "large, 16-bit.png": lambda p: FORMATS["16-bit.png"](
        ImageOps.expand(p.resize((3000, 3000)), (0, 0, 5100, 0), 255)
    ),
    "12 of 16 bits.png": lambda p: Image.fromarray(np.uint16(np.asarray(p)) * 16),
    "0 to 1.tif": lambda p: Image.fromarray(np.float32(p) / 255),
    "not a number.tif": not_a_number,
    "dead pixels.tif": dead_pixels,
    "turned, transparent corners.png": lambda p: p.convert("LA").rotate(
        20, Image.Resampling.BICUBIC, expand=True
    ),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_kind_of_picture_is_read(name, ask):
    assert ask(FORMATS[name](draw_digit(5)), name) == ("5", "")


def test_a_picture_is_turned_as_the_camera_noted(ask):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    for size in (300, 4000):  # large pictures are shrunk while they are read
        picture = draw_digit(7).rotate(90, expand=True).resize((size, size))
        assert ask(picture, "x.jpg", exif=exif) == ("7", "")


def test_a_photograph_of_200_megapixels_is_read(ask):
    photograph = Image.new("L", (16_000, 12_500), 255)
    photograph.paste(draw_digit(4).resize((6000, 6000)), (3000, 2000))
    assert ask(photograph, "large.jpg") == ("4", "")


def test_a_picture_with_a_broken_exif_block_is_read(ask, weights, tmp_path, capsys):
    ask(draw_digit(7), "whole.png")
    whole = (tmp_path / "whole.png").read_bytes()
    body = b"eXIf\0\x08\0\x02\x01\x12\0\x03"  # it promises two tags and ends in one
    chunk = (
        struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    )

    path = tmp_path / "broken.png"
    path.write_bytes(whole[:33] + chunk + whole[33:])  # after the PNG's own header
    demo.main([str(path), "--model", str(weights)])
    assert capsys.readouterr().out.splitlines()[-1] == "7"


# Situations

SITUATIONS = {  # pages (300, 300) from 0 for ink to 1 for paper
    "as drawn": lambda p: p,
    "white on black": lambda p: 1 - p,
    "pencil": lambda p: 0.6 + 0.25 * p,
    "dark and noisy": lambda p: (
        0.16 + 0.16 * p + np.random.default_rng(0).normal(0, 0.05, p.shape)
    ),
    "in a corner": lambda p: np.pad(p, ((0, 700), (0, 500)), constant_values=1),
    "30 pixels": lambda p: p.reshape(30, 10, 30, 10).mean((1, 3)),
    "12 megapixels": lambda p: p.repeat(12, 0).repeat(12, 1),
}


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("digit", STROKES)
def test_a_digit_is_read_in_every_situation(digit, situation, ask):
    page = SITUATIONS[situation](np.float64(draw_digit(digit)) / 255)
    assert ask(to_picture(page))[0] == str(digit)


# The steps of prepare.py

Y, X = np.mgrid[:300, :300] / 300


def page_of(digit: int, width: int = 14) -> np.ndarray:
    """Draw a digit on a page (300, 300) from 0 for ink to 1 for paper."""
    return np.float64(draw_digit(digit, width)) / 255


def blur(page, radius):
    blurred = to_picture(page).filter(ImageFilter.GaussianBlur(radius))
    return np.float64(blurred) / 255


def around(page, margin, level):
    return np.pad(page, margin, constant_values=level)


def bar(page, left, top, right, bottom, level=0.0):
    """Draw a rectangle on a page."""
    page = page.copy()
    page[top:bottom, left:right] = level
    return page


def cut(page, margin=0):
    """Cut a digit out of a page at its bounding box."""
    left, top, right, bottom = to_picture(1 - page).getbbox()
    return around(page[top:bottom, left:right], margin, 1)


def turned(page, angle):
    """Turn a page as an editor does, which leaves black corners."""
    picture = to_picture(page).rotate(angle, Image.Resampling.BICUBIC, expand=True)
    return np.float64(picture) / 255


def pencil(page):
    return 0.65 + 0.35 * page


def ruled(page, spacing, width, level=0.8, tilt=0):
    """Draw lines across a page, `tilt` pixels lower on the right."""
    lines = Image.new("L", page.shape, 255)
    for y in range(-10, 300, spacing):
        ends = (0, y, 300, y + tilt)
        ImageDraw.Draw(lines).line(ends, round(255 * level), width)
    return np.minimum(page, np.float64(lines) / 255)


def blotted(page):
    """Add a dark blot, beside which lines are faint."""
    return bar(page, 250, 45, 258, 53, 0.05)


def shaded(page, where, strength, edge):
    """Put a shadow on the part of a page that `where` says, its edge blurred."""
    return page * (1 - strength * blur(where.astype(float), edge))


def far(page, above, left, below, right):
    """Put a page somewhere on a much larger one."""
    return np.pad(page, ((above, below), (left, right)), constant_values=1)


def chalk(page, board):
    """Turn ink on paper into chalk on a board of this brightness."""
    return 0.9 - (0.9 - board) * page


def from_light(page):
    """Darken a page from left to right."""
    return page * np.linspace(1, 0.6, page.shape[1])


def a_sheet_in_a_corner(digit):
    """Photograph a sheet that reaches two edges, on a desk with a coin."""
    desk = np.pad(page_of(digit), ((0, 300), (0, 300)), constant_values=0.12)
    return bar(desk, 400, 350, 460, 410, 1)


def out_of_focus(page):
    """Photograph a large sheet on a desk, both out of focus."""
    return blur(around(around(page, 200, 1), 150, 0.12), 8)


def pencil_page(digit):
    return 0.7 + 0.3 * page_of(digit)


def grey_between_white_bars(digit):
    """Photograph grey paper, and show it on a phone that is higher than the photo."""
    photograph = 0.6 * (0.3 + 0.7 * page_of(digit))
    return np.pad(photograph, ((150, 150), (0, 0)), constant_values=1)


def phone(page):
    """Put the shadow of a phone over the middle of a page."""
    return shaded(page, (abs(X - 0.5) < 0.2) & (abs(Y - 0.5) < 0.3), 0.5, 5)


STEPS = {
    # Sheet
    "on a desk": (5, lambda: around(page_of(5, 24), 150, 0.12)),
    "small, on a desk": (5, lambda: around(page_of(5, 24), 300, 0.12)),
    "on a desk, out of focus": (4, lambda: blur(around(page_of(4), 150, 0.12), 8)),
    "pencil, on a desk, out of focus": (5, lambda: out_of_focus(pencil_page(5))),
    "in a corner of a desk": (7, lambda: a_sheet_in_a_corner(7)),
    "a dark square on a page": (7, lambda: around(1 - page_of(7), 150, 1)),
    "grey, between white bars": (5, lambda: grey_between_white_bars(5)),
    "a broad 1 is no square": (1, lambda: page_of(1, 40)),
    "a broad 5 is no square": (5, lambda: cut(page_of(5, 40), 20)),
    # Ink
    "bright": (5, lambda: 1 - page_of(5)),
    "turned by 8 degrees": (4, lambda: turned(page_of(4, 20), 8)),
    "turned by 10 degrees": (7, lambda: turned(page_of(7, 20), 10)),
    "cut out closely": (1, lambda: cut(page_of(1, 40), 8)),
    "bright, cut out closely": (1, lambda: 1 - cut(page_of(1, 40), 8)),
    "light from one side": (5, lambda: page_of(5) * (1 - 0.65 * X)),
    "a hard shadow": (7, lambda: shaded(page_of(7), X + 0.3 * Y > 0.62, 0.5, 1)),
    "a soft shadow": (5, lambda: shaded(page_of(5), X + 0.3 * Y > 0.62, 0.5, 25)),
    "the shadow of a phone": (5, lambda: phone(page_of(5))),
    "a soft shadow on pencil": (
        4,
        lambda: shaded(0.6 + 0.4 * page_of(4), X - Y > 0.1, 0.5, 25),
    ),
    "chalk": (5, lambda: chalk(page_of(5), 0.3) * (1 - 0.5 * Y)),
    "chalk, large": (4, lambda: from_light(chalk(cut(page_of(4, 10), 30), 0.42))),
    # Lines
    "ruled": (4, lambda: blotted(ruled(pencil(page_of(4, 12)), 30, 5))),
    "lines from top to bottom": (
        4,
        lambda: blotted(ruled(pencil(page_of(4, 12)).T, 30, 5).T),
    ),
    "ruled, turned": (4, lambda: blotted(ruled(pencil(page_of(4, 12)), 40, 4, tilt=6))),
    "a strong line is a 1": (1, lambda: page_of(1, 24)[62:238]),
    # Digit
    "a smudge": (
        4,
        lambda: shaded(page_of(4), (X - 0.4) ** 2 + (Y - 0.3) ** 2 < 0.03, 0.3, 5),
    ),
    "specks": (7, lambda: bar(bar(page_of(7), 20, 30, 32, 44), 260, 200, 270, 212)),
    "broken strokes": (7, lambda: bar(page_of(7), 0, 150, 300, 159, 1)),
    "dotted": (5, lambda: np.where((300 * (X + Y)) // 9 % 3 > 0, page_of(5), 1)),
    "a dark edge": (5, lambda: bar(around(page_of(5), 60, 1), 395, 20, 420, 400)),
    "a pale bar": (
        7,
        lambda: bar(far(page_of(7), 0, 0, 0, 100), 300, 47, 325, 253, 0.6),
    ),
    "underlined": (7, lambda: bar(page_of(7, 12), 25, 278, 275, 286)),
    "minus 1": (1, lambda: bar(far(page_of(1), 0, 150, 0, 0), 10, 145, 220, 160)),
    "at the edge": (7, lambda: page_of(7)[63:257]),
    # Closer
    "far away, pencil": (4, lambda: far(0.5 + 0.5 * page_of(4), 1100, 700, 600, 1000)),
    "in a corner": (7, lambda: far(page_of(7)[55:, 70:], 0, 0, 900, 900)),
    # Width
    "a thin 1": (1, lambda: page_of(1, 4)),
    "a thin, pale 5": (5, lambda: 0.93 + 0.07 * page_of(5, 3)),
    "a thin 4": (4, lambda: page_of(4, 4)),
    "a broad 4": (4, lambda: page_of(4, 40)),
}


@pytest.mark.parametrize("case", STEPS)
def test_each_step_is_needed(case, ask):
    digit, draw = STEPS[case]
    assert ask(to_picture(draw())) == (str(digit), "")


@pytest.mark.parametrize("ink", [1, 0.07])
@pytest.mark.parametrize("width", [2, 4])
def test_a_thin_stroke_gets_the_width_of_mnists(width, ink):
    page = 1 - ink * (1 - page_of(1, width))
    pixels, _ = prepare.prepare(torch.tensor(page).float())
    assert 1.5 < pixels.sum() / 20 < 3  # in each of 20 rows


@pytest.mark.parametrize("turns", range(4))
def test_no_ink_is_cut_off_where_its_weight_is_at_one_end(turns):
    """Of a nail, the head is heavy."""
    nail = bar(bar(np.ones((300, 300)), 90, 50, 210, 110), 144, 110, 156, 260)
    pixels, _ = prepare.prepare(torch.tensor(np.rot90(nail, turns).copy()).float())
    assert max(prepare.trim(pixels).shape) == 20


def beside(*pages):
    return np.hstack(pages)


SEVERAL = {
    "55": lambda: beside(page_of(5, 24), page_of(5, 24)),
    "74": lambda: beside(page_of(7, 24), page_of(4, 24)),
    "457": lambda: beside(page_of(4), page_of(5), page_of(7)),
    "5147541": lambda: beside(*[page_of(int(digit)) for digit in "5147541"]),
    "one below the other": lambda: np.vstack([page_of(5), page_of(4)]),
    "far apart": lambda: far(
        beside(far(page_of(5), 0, 0, 0, 900), page_of(4)), 900, 0, 300, 0
    ),
    "near each other, far away": lambda: around(
        beside(page_of(1)[:, 130:170], page_of(1)[:, 130:170]), 600, 1
    ),
    "touching": lambda: bar(beside(page_of(5), page_of(5)), 200, 54, 420, 68),
    "a paler one": lambda: beside(page_of(5), 0.3 + 0.7 * page_of(4)),
}


@pytest.mark.parametrize("number", SEVERAL)
def test_it_says_when_there_are_several_digits(number, ask):
    assert "several" in ask(to_picture(SEVERAL[number]()))[1]


def cut_at_the_sides(page):
    """Cut off the paper to the left and to the right of a digit."""
    columns = (page < 0.5).any(0).nonzero()[0]
    return page[:, columns[0] : columns[-1] + 1]


@pytest.mark.parametrize("gap", [4, 8, 12])  # 3 pixels are 1% of such a picture
@pytest.mark.parametrize("number", ["14", "41", "15", "51", "17", "71", "11"])
def test_a_1_close_to_another_digit_makes_several(number, gap, ask):
    left, right = (cut_at_the_sides(page_of(int(digit))) for digit in number)
    pair = beside(left, np.ones((300, gap)), right)
    assert "several" in ask(to_picture(around(pair, 40, 1)))[1]


def test_a_grey_block_is_too_much_ink(ask):
    assert (
        "too much ink"
        in ask(to_picture(bar(np.ones((300, 300)), 60, 60, 240, 240, 0.6)))[1]
    )


@pytest.mark.parametrize("digit", STROKES)
@pytest.mark.parametrize("angle", [20, -20])
def test_a_page_turned_far_with_black_corners_is_doubted_or_read(digit, angle, ask):
    answer, doubts = ask(to_picture(turned(page_of(digit, 20), angle)))
    assert doubts or answer == str(digit)


@pytest.mark.parametrize("paper", [0, 128, 255, 50_000])  # the last is of 16 bits
def test_on_a_blank_page_there_is_nothing_to_read(paper, weights, tmp_path, capsys):
    noise = np.random.default_rng(0).integers(-6, 7, (300, 400))
    dtype, noise = (np.uint8, noise) if paper < 256 else (np.uint16, 257 * noise)
    for page in (np.full((300, 400), paper), (paper + noise).clip(0, max(255, paper))):
        Image.fromarray(page.astype(dtype)).save(tmp_path / "blank.png")
        options = [tmp_path / "blank.png", "--model", weights]
        sentence = sentence_of(demo.main, *options, capsys=capsys)
        assert "blank.png: nothing to read" in sentence


def test_on_a_black_picture_of_mnists_size_there_is_nothing_to_read(ask):
    with pytest.raises(SystemExit, match="nothing to read"):
        ask(Image.new("L", (28, 28)))


@pytest.mark.parametrize("side", [5, 10, 28])
def test_a_single_black_pixel_is_nothing_to_read(side, ask):
    page = np.ones((side, side))
    page[side // 2, side // 2] = 0
    with pytest.raises(SystemExit, match="nothing to read"):
        ask(to_picture(page))


@pytest.mark.parametrize("shape", [(1, 300), (300, 1), (2, 300)])
def test_a_strip_of_pixels_is_doubted_or_nothing_to_read(shape, ask):
    try:
        assert ask(to_picture(np.random.default_rng(0).random(shape)))[1]
    except SystemExit as error:
        assert "nothing to read" in error.code


# What a user gets wrong


@pytest.mark.parametrize("data", [b"\0\0\0\x18ftypheic" + bytes(99), b"5", b""])
def test_what_is_no_picture_ends_in_a_sentence(data, weights, tmp_path, capsys):
    path = tmp_path / "picture.jpg"
    path.write_bytes(data)
    sentence = sentence_of(demo.main, path, "--model", weights, capsys=capsys)
    assert str(path) in sentence and "HEIC" in sentence


@pytest.mark.parametrize("how", ["missing", "folder", "truncated"])
def test_a_broken_picture_is_loud_and_gets_no_digit(how, weights, tmp_path, capsys):
    path = tmp_path / "picture.jpg"
    if how == "folder":
        path.mkdir()
    if how == "truncated":
        path.write_bytes((ROOT / "docs" / "photo.jpg").read_bytes()[:9000])
    with pytest.raises(OSError):
        demo.main([str(path), "--model", str(weights)])
    assert capsys.readouterr().out == ""


def test_without_weights_it_says_what_to_do(tmp_path, capsys):
    path = tmp_path / "missing.ckpt"
    sentence = sentence_of(demo.main, "a.png", "--model", path, capsys=capsys)
    assert str(path) in sentence and "train.py" in sentence and "--model" in sentence


def test_without_the_example_it_says_what_to_do(weights, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    sentence = sentence_of(demo.main, "--model", weights, capsys=capsys)
    assert str(Path("test", "12.png")) in sentence and "resolve.py" in sentence


class Hostile:
    """What torch.load makes of it, if it may, is a new file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_weights_that_hide_a_program_do_not_run_it(tmp_path):
    torch.save({"fc.bias": Hostile(f"{tmp_path}/proof")}, tmp_path / "hostile.ckpt")
    with pytest.raises(pickle.UnpicklingError):
        demo.main(["a.png", "--model", str(tmp_path / "hostile.ckpt")])
    assert not (tmp_path / "proof").exists()


def test_weights_of_another_network_are_loud(weights, tmp_path):
    state = torch.load(weights, weights_only=True)
    torch.save(state | {"fc.bias": torch.ones(11)}, tmp_path / "other.ckpt")
    with pytest.raises(RuntimeError, match="size mismatch for fc.bias"):
        demo.main(["a.png", "--model", str(tmp_path / "other.ckpt")])
