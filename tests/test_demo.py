"""demo.py: any picture of a digit is read, and what a user gets wrong."""

import numpy as np
import pytest
import torch
from conftest import ROOT, run, sentence_of
from PIL import ExifTags, Image, ImageDraw, ImageOps

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


def draw_digit(digit: int, width: int = 24) -> Image.Image:
    """Draw a digit by hand with a round pen, black on white, 300x300."""
    picture = Image.new("L", (300, 300), 255)
    draw, radius = ImageDraw.Draw(picture), width // 2
    draw.line(STROKES[digit], 0, width)
    for x, y in STROKES[digit]:
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), 0)
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
    *rows, likeliest, second, third, last = result.stdout.splitlines()
    assert len(rows) == 28 and all(len(row) == 56 and row.isascii() for row in rows)
    chances = [line.split(": ") for line in (likeliest, second, third)]
    percents = [float(chance.removesuffix("%")) for _, chance in chances]
    assert chances[0][0] == last == "4" and percents == sorted(percents)[::-1]


def test_without_a_name_or_its_picture_it_says_what_to_do(weights, tmp_path):
    result = run("demo.py", "--model", weights, cwd=tmp_path)
    assert result.returncode == 1 and "resolve.py" in result.stderr
    assert len(result.stderr.splitlines()) == 1


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
}


@pytest.mark.parametrize("form", OTHER_FORMS)
def test_digits_in_other_forms_get_mnists_and_are_read(form, weights, test_set):
    prepared = []
    for image in test_set[0][:200]:
        picture = OTHER_FORMS[form](Image.fromarray(image))
        pixels, _ = prepare.prepare(np.asarray(picture))
        assert pixels.shape == (28, 28) and pixels.dtype == np.uint8
        places = np.nonzero(pixels)
        centre = np.average(places, axis=1, weights=pixels[places])
        assert max(np.ptp(places, axis=1)) in (18, 19) and abs(centre - 14).max() < 0.6
        prepared.append(pixels)

    images = torch.tensor(np.array(prepared)[:, None] / 255, dtype=torch.float32)
    with torch.inference_mode():
        answers = demo.load_model(weights)(images).argmax(1).numpy()
    least = 0.90 if form == "cut out and stretched" else 0.95
    assert np.mean(answers == test_set[1][:200]) > least


def transparent(picture, colour):
    layer = Image.new("RGB", picture.size, colour)
    layer.putalpha(ImageOps.invert(picture))
    return layer


FORMATS = {
    "1-bit.png": lambda p: p.convert("1"),
    "palette.gif": lambda p: p.convert("P"),
    "colour.webp": lambda p: p.convert("RGB"),
    "CMYK.jpg": lambda p: p.convert("CMYK"),
    "grey and alpha.png": lambda p: p.convert("LA"),
    "black on transparent.png": lambda p: transparent(p, "black"),
    "white on transparent.png": lambda p: transparent(p, "white"),
    "16-bit.png": lambda p: Image.fromarray(np.uint16(np.asarray(p)) * 257),
    "large, 16-bit.png": lambda p: FORMATS["16-bit.png"](p.resize((3000, 3000))),
    "12 of 16 bits.png": lambda p: Image.fromarray(np.uint16(np.asarray(p)) * 16),
    "0 to 1.tif": lambda p: Image.fromarray(np.float32(p) / 255),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_kind_of_picture_is_read(name, weights, tmp_path, capsys):
    picture = FORMATS[name](draw_digit(5))
    assert answer(picture, weights, tmp_path, capsys, name) == ("5", "")


def test_a_picture_is_turned_as_the_camera_noted(weights, tmp_path, capsys):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    for size in (300, 4000):  # large pictures are shrunk while they are read
        picture = draw_digit(7).rotate(90, expand=True).resize((size, size))
        result = answer(picture, weights, tmp_path, capsys, "x.jpg", exif=exif)
        assert result == ("7", "")


SITUATIONS = {  # grey levels (300, 300)
    "as drawn": lambda p: p,
    "white on black": lambda p: 255 - p,
    "pencil": lambda p: p * 0.25 + 150,
    "light from one side": lambda p: p * np.linspace(1, 0.35, 300),
    "noisy": lambda p: p * 0.4 + np.random.default_rng(0).normal(40, 12, p.shape),
    "ruled": lambda p: np.where(np.arange(300)[:, None] % 40, p, np.minimum(p, 190)),
    "in a corner": lambda p: np.pad(p, ((0, 700), (0, 500)), constant_values=255),
    "30 pixels": lambda p: p.reshape(30, 10, 30, 10).mean((1, 3)),
    "a sheet on a desk": lambda p: np.pad(p, 150, constant_values=30),
    "a dark square": lambda p: np.pad(255 - p, 150, constant_values=255),
    "12 megapixels": lambda p: p.repeat(12, 0).repeat(12, 1),
}


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("digit", STROKES)
def test_a_digit_is_read_in_every_situation(
    digit, situation, weights, tmp_path, capsys
):
    for width in (12, 24):
        grey = SITUATIONS[situation](np.float64(draw_digit(digit, width)))
        picture = Image.fromarray(np.uint8(grey.clip(0, 255)))
        assert answer(picture, weights, tmp_path, capsys)[0] == str(digit)


@pytest.mark.parametrize("paper", [0, 128, 255, 50_000])  # the last is of 16 bits
def test_on_a_blank_page_there_is_nothing_to_read(paper, weights, tmp_path, capsys):
    noise = np.random.default_rng(0).integers(-6, 7, (300, 400))
    dtype, noise = (np.uint8, noise) if paper < 256 else (np.uint16, 257 * noise)
    for page in (np.full((300, 400), paper), (paper + noise).clip(0, max(255, paper))):
        Image.fromarray(page.astype(dtype)).save(tmp_path / "blank.png")
        options = [tmp_path / "blank.png", "--model", weights]
        sentence = sentence_of(demo.main, *options, capsys=capsys)
        assert "blank.png: nothing to read" in sentence


@pytest.mark.parametrize("digits", [[5, 5], [7, 4], [4, 5, 7], [5, 1, 4, 7, 5, 4, 1]])
def test_it_says_when_there_are_several_digits(digits, weights, tmp_path, capsys):
    number = np.hstack([draw_digit(digit) for digit in digits])
    assert "several" in answer(Image.fromarray(number), weights, tmp_path, capsys)[1]


def test_it_says_when_an_answer_is_unsure(tmp_path, capsys):
    torch.save(ConvNet().state_dict(), tmp_path / "untrained.ckpt")
    _, error = answer(draw_digit(5), tmp_path / "untrained.ckpt", tmp_path, capsys)
    assert "unsure" in error


BROKEN_PICTURES = {
    "empty": (b"", "picture"),
    "text": (b"5", "picture"),
    "truncated": ((ROOT / "docs" / "photo.jpg").read_bytes()[:9000], "truncated"),
    "HEIC": (b"\0\0\0\x18ftypheic" + bytes(99), "HEIC, save it as JPEG"),
    "a folder": ("folder", "directory"),
    "missing": (None, "no such file"),
}


@pytest.mark.parametrize("how", BROKEN_PICTURES)
def test_a_broken_picture_ends_in_a_sentence(how, weights, tmp_path, capsys):
    data, word = BROKEN_PICTURES[how]
    path = tmp_path / "picture.jpg"
    if data == "folder":
        path.mkdir()
    elif data is not None:
        path.write_bytes(data)
    sentence = sentence_of(demo.main, path, "--model", weights, capsys=capsys)
    assert str(path) in sentence and word in sentence


BAD_WEIGHTS = {
    "missing": lambda path, state: None,
    "empty": lambda path, state: path.write_bytes(b""),
    "text": lambda path, state: path.write_text("weights"),
    "truncated": lambda path, state: path.write_bytes(b"PK\3\4" + bytes(99)),
    "wrapped": lambda path, state: torch.save({"model": state}, path),
    "a whole model": lambda path, state: torch.save(ConvNet(), path),
    "sizes": lambda path, state: torch.save(state | {"fc.bias": torch.ones(11)}, path),
    "infinite": lambda path, state: torch.save(
        state | {"fc.bias": torch.ones(10) / 0}, path
    ),
}


@pytest.mark.parametrize("how", BAD_WEIGHTS)
def test_weights_that_do_not_fit_end_in_a_sentence(how, weights, tmp_path, capsys):
    path = tmp_path / "bad.ckpt"
    BAD_WEIGHTS[how](path, torch.load(weights, weights_only=True))
    draw_digit(5).save(tmp_path / "x.png")
    options = [tmp_path / "x.png", "--model", path]
    sentence = sentence_of(demo.main, *options, capsys=capsys)
    assert str(path) in sentence and "train.py" in sentence
