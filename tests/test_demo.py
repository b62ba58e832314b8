"""demo.py: that it prepares any picture as MNIST's are, and what can go wrong."""

import io
import os
import pickle
import struct
import time
import zlib

import numpy as np
import pytest
import torch
from conftest import ROOT, assert_one_sentence, imports, run
from hypothesis import given, settings
from hypothesis import strategies as st
from photos import crop
from PIL import Image, ImageDraw

import demo
import train
from model import ConvNet, to_input


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """Weights of one short training on 20,000 images, enough to read clear digits."""
    path = tmp_path_factory.mktemp("weights") / "model.ckpt"
    sets = train.load_mnist(ROOT / "data")
    short = [(images[:20_000], labels[:20_000]) for images, labels in sets]
    torch.manual_seed(0)
    model, _ = train.train(*short, 1, 50, 0.01)
    train.save_weights(model, path)
    return path


def draw_digit(digit: int, side: int = 300, ink: int = 0, paper: int = 255):
    """Draw a digit by hand, with a round pen, as black ink on white paper."""
    lines = {
        1: [(150, 60), (150, 240)],
        4: [(190, 250), (190, 60), (90, 190), (230, 190)],
        7: [(90, 70), (210, 70), (140, 250)],
    }[digit]
    picture = Image.new("L", (300, 300), paper)
    draw = ImageDraw.Draw(picture)
    draw.line(lines, ink, 26, joint="curve")
    for x, y in lines:
        draw.ellipse((x - 13, y - 13, x + 13, y + 13), ink)
    return picture.resize((side, side))


def answer(picture, weights, tmp_path, capsys, suffix=".png", **options):
    """Return the last line that demo.py prints for a picture."""
    path = tmp_path / f"picture{suffix}"
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(picture)
    picture.save(path, **options)
    demo.main([str(path), "--model", str(weights)])
    return capsys.readouterr().out.splitlines()[-1]


def test_the_output_is_what_the_readme_promises(weights, tmp_path):
    Image.fromarray(np.asarray(draw_digit(4))).save(tmp_path / "four.png")
    seen = tmp_path / "seen.png"
    arguments = [tmp_path / "four.png", "--model", weights, "--save-input", seen]
    result = run("demo.py", *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == f"Loaded the weights of {weights}"
    assert len(lines) == 1 + 28 + 3 + 1 and lines[-1] == "4"
    assert all(len(line) == 56 and line.isascii() for line in lines[1:29])
    chances = [line.split(": ") for line in lines[29:32]]
    assert chances[0][0] == "4" and len({digit for digit, _ in chances}) == 3
    percent = [float(chance.removesuffix("%")) for _, chance in chances]
    assert percent == sorted(percent, reverse=True) and sum(percent) <= 100.1
    pixels = np.asarray(Image.open(seen))
    assert pixels.shape == (28, 28) and pixels.max() == 255
    assert lines[1:29] == demo.draw(pixels).splitlines()


def test_mnist_pictures_reach_the_network_unchanged(test_set):
    """So demo's answers on all test pictures have the accuracy that train.py prints."""
    for image in test_set[0]:
        pixels, others = demo.prepare(image)
        assert pixels is image and others == 0


def test_a_picture_of_resolve_gives_the_tensor_that_training_used(test_set, tmp_path):
    for i in (0, 12, 9999):
        Image.fromarray(test_set[0][i]).save(tmp_path / "x.png")
        pixels, _ = demo.prepare(demo.read_grey(tmp_path / "x.png"))
        expected = to_input(torch.tensor(test_set[0][i][None]))
        assert torch.equal(to_input(torch.tensor(pixels[None])), expected)


def test_without_an_image_it_takes_picture_12_of_resolve(weights, tmp_path, test_set):
    (tmp_path / "test").mkdir()
    Image.fromarray(test_set[0][12]).save(tmp_path / "test" / "12.png")
    result = run("demo.py", "--model", weights, cwd=tmp_path)
    assert result.returncode == 0 and result.stdout.splitlines()[-1] == "9"


def test_prepared_pictures_keep_mnists_rules(test_set):
    """Enlarged, inverted, off centre: fitted to 20 pixels, centred, brightest 255."""
    for image in test_set[0][:40]:
        large = Image.fromarray(255 - image).resize(
            (140, 140), Image.Resampling.BICUBIC
        )
        page = np.pad(np.asarray(large), ((10, 90), (60, 20)), constant_values=255)
        pixels, others = demo.prepare(page)
        assert pixels.dtype == np.uint8 and pixels.max() == 255 and others == 0
        assert demo.is_like_mnist(pixels)


def test_enlarged_test_pictures_are_read_as_the_originals(weights, test_set):
    model = demo.load_model(weights)
    images, labels = test_set[0][:200], test_set[1][:200]
    same = []
    for image, label in zip(images, labels):
        large = Image.fromarray(255 - image).resize(
            (150, 150), Image.Resampling.BICUBIC
        )
        page = np.pad(large, 40, constant_values=255)
        *_, probabilities = demo.classify(model, page)
        same.append(np.argmax(probabilities) == label)
    right = train.predict(model, torch.tensor(images)).numpy() == labels
    assert np.mean(same) >= right.mean() - 0.02


MODES = {
    "1-bit": lambda p: p.convert("1"),
    "palette": lambda p: p.convert("P"),
    "colour": lambda p: p.convert("RGB"),
    "grey and alpha": lambda p: p.convert("LA"),
    "16-bit": lambda p: Image.fromarray(np.uint16(np.asarray(p)) * 257),
    "12 of 16 bits": lambda p: Image.fromarray(np.uint16(np.asarray(p)) * 16),
    "white on black": lambda p: Image.fromarray(255 - np.asarray(p)),
    "grey paper": lambda p: Image.fromarray(np.uint8(np.asarray(p) * 0.4 + 60)),
    "pencil": lambda p: Image.fromarray(np.uint8(np.asarray(p) * 0.25 + 170)),
    "small": lambda p: p.resize((28, 28), Image.Resampling.BOX),
    "tiny": lambda p: p.resize((20, 20), Image.Resampling.BOX),
    "wide": lambda p: Image.fromarray(
        np.pad(np.asarray(p), ((0, 0), (900, 0)), constant_values=255)
    ),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("digit", [1, 4, 7])
def test_each_kind_of_picture_is_read(mode, digit, weights, tmp_path, capsys):
    picture = MODES[mode](draw_digit(digit))
    assert answer(picture, weights, tmp_path, capsys) == str(digit)


@pytest.mark.parametrize("suffix", [".bmp", ".gif", ".webp", ".tif", ".jpg"])
def test_each_format_is_read(suffix, weights, tmp_path, capsys):
    assert answer(draw_digit(4), weights, tmp_path, capsys, suffix) == "4"


def test_cmyk_is_read(weights, tmp_path, capsys):
    picture = draw_digit(4).convert("RGB").convert("CMYK")
    assert answer(picture, weights, tmp_path, capsys, ".jpg") == "4"


@pytest.mark.parametrize("colour", [0, 255])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_black_and_white_ink_on_nothing_is_seen(
    mode, colour, weights, tmp_path, capsys
):
    alpha = Image.fromarray(255 - np.asarray(draw_digit(7)))
    picture = Image.new("L", alpha.size, colour).convert(mode)
    picture.putalpha(alpha)
    assert answer(picture, weights, tmp_path, capsys) == "7"


def test_a_transparent_colour_of_a_palette_is_paper(weights, tmp_path, capsys):
    picture = Image.fromarray(255 - np.asarray(draw_digit(7, paper=255))).convert("P")
    picture.putpalette([0, 0, 0] * 256)  # all black: only transparency tells them apart
    assert answer(picture, weights, tmp_path, capsys, transparency=0) == "7"


@pytest.mark.parametrize("margin", [40, 90])
@pytest.mark.parametrize("size", [(300, 300), (600, 250), (250, 700)])
@pytest.mark.parametrize("digit", [1, 4, 7])
def test_a_sheet_with_transparent_margins_is_no_ink(
    digit, size, margin, weights, tmp_path, capsys
):
    sheet = Image.new("L", size, 255)
    sheet.paste(draw_digit(digit, 230), (10, 10))
    whole = Image.new("RGBA", (size[0] + 2 * margin, size[1] + 2 * margin))
    whole.paste(sheet.convert("RGBA"), (margin, margin))
    assert answer(whole, weights, tmp_path, capsys) == str(digit)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photograph_is_turned_back(orientation, weights, tmp_path, capsys):
    """Stored the other way round, with the note in EXIF that says so."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    picture = draw_digit(7)
    if orientation in undo:
        picture = picture.transpose(undo[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert answer(picture, weights, tmp_path, capsys, ".jpg", exif=exif) == "7"


@settings(max_examples=25, deadline=None)
@given(
    x=st.integers(0, 400),
    y=st.integers(0, 400),
    scale=st.floats(0.15, 2),
    inverted=st.booleans(),
    contrast=st.floats(0.35, 1),
    digit=st.sampled_from([1, 4, 7]),
)
def test_place_size_and_colour_do_not_change_the_answer(
    weights, x, y, scale, inverted, contrast, digit
):
    side = int(300 * scale)
    page = np.full((700, 700), 255, np.uint8)
    page[y : y + side, x : x + side] = np.asarray(draw_digit(digit, side))[
        : 700 - y, : 700 - x
    ]
    if x + side > 700 or y + side > 700:
        return  # a part of the digit may be outside
    page = np.uint8(page * contrast)
    model = demo.load_model(weights)
    picture = 255 - page if inverted else page
    _, others, probabilities = demo.classify(model, picture)
    assert others == 0 and np.argmax(probabilities) == digit


@pytest.mark.parametrize("turn", [0, 8])
@pytest.mark.parametrize("width", [160, 250, 400, 580])
@pytest.mark.parametrize("digit", [1, 4, 7])
def test_a_sheet_of_paper_on_a_dark_desk_is_not_the_ink(
    digit, width, turn, weights, tmp_path, capsys
):
    sheet = Image.new("L", (width, width), 215)
    sheet.paste(draw_digit(digit, 140, paper=215), (width - 150, 5))
    sheet = sheet.rotate(turn, Image.Resampling.BICUBIC, expand=True, fillcolor=45)
    page = Image.new("L", (800, 600), 45)
    page.paste(sheet, (120, 10))
    assert answer(page, weights, tmp_path, capsys, ".jpg") == str(digit)


def test_a_crop_leaves_everything_but_a_desk_as_it_is(test_set):
    """Neither a bright digit nor the hole of a 0 nor the light beside a shadow."""
    large = [Image.fromarray(image).resize((120, 120)) for image in test_set[0][:500]]
    shadow = np.full((300, 300), 240, np.uint8)
    shadow[:, 160:] = 100
    zero = Image.new("L", (200, 240), 255)
    ImageDraw.Draw(zero).ellipse((5, 5, 195, 235), outline=0, width=20)
    for picture in (*large, shadow, zero):
        grey = np.asarray(picture)
        assert demo.crop_to_sheet(grey) is grey
    desk = np.full((300, 400), 30, np.uint8)
    desk[100:200, 200:350] = 220
    assert (demo.crop_to_sheet(desk) == 220).mean() > 0.9


@pytest.mark.parametrize("frame", ["box", "circle", "row", "table"])
@pytest.mark.parametrize("digit", [1, 4, 7])
def test_a_frame_around_the_digit_is_not_read(digit, frame, weights, tmp_path, capsys):
    page = Image.new("L", (900, 500), 250)
    draw = ImageDraw.Draw(page)
    box = (330, 80, 610, 420)
    page.paste(draw_digit(digit, 250, paper=250), (345, 125))
    if frame == "circle":
        draw.ellipse((270, 50, 670, 450), outline=20, width=6)
    else:
        draw.rectangle(box, outline=20, width=6)
    if frame == "row":
        draw.rectangle((50, 80, 850, 420), outline=20, width=6)
    elif frame == "table":
        for x in (330, 605):
            draw.line((x, 0, x, 500), 20, 6)
        for y in (80, 415):
            draw.line((0, y, 900, y), 20, 6)
    assert answer(page, weights, tmp_path, capsys) == str(digit)


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("digit", [4, 7])
def test_a_digit_cut_out_tightly_is_read(digit, inverted, weights, tmp_path, capsys):
    picture = draw_digit(digit)
    ink = Image.fromarray(255 - np.asarray(picture))
    picture = np.asarray(picture.crop(ink.getbbox()))
    picture = 255 - picture if inverted else picture
    assert answer(picture, weights, tmp_path, capsys) == str(digit)


def test_a_stroke_that_fades_to_a_third_stays_whole():
    page = np.full((300, 300), 240, np.uint8)
    page[50:250, 140:160] = np.linspace(30, 165, 200)[:, None]
    pixels, _ = demo.prepare(page)
    assert np.ptp(np.nonzero(pixels)[0]) == 19


def test_a_digit_in_pieces_is_put_together():
    """Each piece is near the one before, but the last is far from the first."""
    page = np.full((400, 300), 255, np.uint8)
    page[30:50, 60:160] = 0
    page[60:160, 150:170] = 0
    page[175:250, 150:170] = 0
    page[265:285, 50:160] = 0
    whole = demo.fit(np.float32(255 - page))
    page[270:275, 280:285] = 0  # a speck
    pixels, others = demo.prepare(page)
    assert others == 0 and ((pixels > 128) == (whole > 128)).mean() > 0.96


def test_a_digit_at_the_edge_is_not_cut_and_a_desk_there_is_none():
    page = np.full((300, 300), 255, np.uint8)
    page[280:, 100:140] = 0  # the foot of a digit, cut off by the edge
    page[135:280, 100:120] = 0
    page[100:120, 60:160] = 0  # its bar
    pixels, _ = demo.prepare(page)
    assert np.ptp(np.nonzero(pixels)[0]) == 19
    page[130:] = 255
    page[180:] = 0  # only the bar, and a desk
    pixels, _ = demo.prepare(page)
    assert np.ptp(np.nonzero(pixels)[0]) < 5


def test_shadow_ruled_lines_and_specks_are_not_the_digit(weights, tmp_path, capsys):
    page = np.full((600, 800), 230.0)
    page[:, 350:] *= 0.55  # a shadow with a hard edge, through the digit
    page *= np.linspace(1, 0.8, 800)
    page[40::60] *= 0.8  # ruled lines
    page[500:506, 100:106] = 20  # a speck
    page[150:450, 250:550] *= np.asarray(draw_digit(4, ink=40)) / 255
    noise = np.random.default_rng(0).normal(0, 4, page.shape)
    page = np.uint8(np.clip(page + noise, 0, 255))
    assert answer(page, weights, tmp_path, capsys, ".jpg") == "4"


def test_a_line_of_one_pixel_in_12_megapixels_does_not_fade(weights, tmp_path, capsys):
    page = Image.new("L", (4000, 3000), 240)
    lines = [(1000, 700), (2200, 700), (1500, 2300)]
    ImageDraw.Draw(page).line(lines, 30, 1)
    assert answer(page, weights, tmp_path, capsys) == "7"


@pytest.mark.parametrize("shadow", [0.5, 0.75, 1])
@pytest.mark.parametrize("side", [60, 150, 300])
@pytest.mark.parametrize("ink, paper", [(20, 230), (110, 230), (150, 230), (20, 90)])
def test_ink_differs_most_from_its_paper_whether_dark_or_bright(
    ink, paper, side, shadow, request
):
    """On one half of the page there is only a share of the light."""
    if ink > shadow * paper and side < 300:  # known to be lost
        reason = "the shadow differs from the paper more than the ink does"
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    page = np.full((400, 320), paper, np.uint8)
    page[50 : 50 + side, 10 : 10 + side] = draw_digit(4, side, ink, paper)
    page[:, 160:] = page[:, 160:] * shadow
    assert np.array_equal(demo.with_bright_ink(page), 255 - page)
    page = np.full((400, 320), ink, np.uint8)
    page[50 : 50 + side, 10 : 10 + side] = draw_digit(4, side, paper, ink)
    page[:, 160:] = page[:, 160:] * shadow
    assert demo.with_bright_ink(page) is page


@pytest.mark.parametrize("white, most", [(False, 5), (True, 30)])
def test_ink_may_cover_most_of_a_picture_that_is_cut_out_tightly(white, most, test_set):
    """White ink spreads more, and a 1 may be all ink: nothing tells that it is one."""
    wrong = 0
    for digit in test_set[0][:200]:
        ink = crop(digit)
        found = demo.with_bright_ink(ink if white else 255 - ink)
        wrong += not np.array_equal(found, ink)
    assert wrong <= most


@pytest.mark.parametrize("digit", [1, 4, 7])
@pytest.mark.parametrize("side", [9, 12, 24])
def test_a_picture_of_a_few_pixels_is_enough(digit, side, weights, tmp_path, capsys):
    assert answer(draw_digit(digit, side), weights, tmp_path, capsys) == str(digit)


def test_reduce_keeps_the_brightest_of_each_block():
    pixels = np.random.default_rng(0).integers(0, 256, (70, 33), np.uint8)
    reduced, k = demo.reduce(pixels, 24)
    expected = [
        [pixels[3 * i : 3 * i + 3, 3 * j : 3 * j + 3].max() for j in range(11)]
        for i in range(24)
    ]
    assert k == 3 and np.array_equal(reduced, expected)


def test_ink_is_what_is_narrow_and_a_smooth_change_of_light_is_none():
    page = np.uint8(np.arange(10, 106)[:, None] + np.arange(128))
    page[40:60, 60:64] = 250
    ink = demo.find_ink(page)[22:-22, 22:-22]  # no pixel near the edge has neighbours
    assert (ink[18:38, 38:42] > 0.9).all()
    assert (ink != 0).sum() == 20 * 4


def test_dilate_takes_the_largest_of_a_square():
    pixels = np.random.default_rng(0).normal(size=(9, 14)).astype(np.float32)
    dilated = demo.dilate(pixels, 2)
    for (y, x), value in np.ndenumerate(dilated):
        around = pixels[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3]
        assert value == around.max()


def test_components_are_connected_areas():
    rows = ["##..#", "#...#", "..#..", "#...#"]
    mask = np.array([[mark == "#" for mark in row] for row in rows])
    labels = demo.label_components(mask)
    assert (labels[~mask] == 0).all()
    groups = {frozenset(zip(*np.nonzero(labels == n))) for n in np.unique(labels[mask])}
    places = [{(0, 0), (0, 1), (1, 0)}, {(0, 4), (1, 4)}, {(2, 2)}, {(3, 0)}, {(3, 4)}]
    assert groups == {frozenset(place) for place in places}


def test_a_long_spiral_takes_no_long_time():
    """Its ends are 8,000 steps apart; labels must not walk them one by one."""
    mask = np.zeros((128, 128), bool)
    row, column, (down, right) = 0, 0, (0, 1)
    while True:
        mask[row, column] = True
        ahead = (row + 2 * down, column + 2 * right)
        if not (0 <= ahead[0] < 128 and 0 <= ahead[1] < 128) or mask[ahead]:
            down, right = right, -down
            ahead = (row + 2 * down, column + 2 * right)
            if not (0 <= ahead[0] < 128 and 0 <= ahead[1] < 128) or mask[ahead]:
                break
        row, column = row + down, column + right
    start = time.perf_counter()
    labels = demo.label_components(mask)
    assert time.perf_counter() - start < 5
    assert len(np.unique(labels[mask])) == 1 and mask.sum() > 5000


@pytest.mark.parametrize("kept", ["four.png", "w.ckpt"])
def test_save_input_never_overwrites_what_was_given(kept, weights, tmp_path):
    draw_digit(4).save(tmp_path / "four.png")
    (tmp_path / "w.ckpt").write_bytes(weights.read_bytes())
    before = (tmp_path / kept).read_bytes()
    for path in (kept, tmp_path / kept):
        arguments = ["four.png", "--model", "w.ckpt", "--save-input", path]
        result = run("demo.py", *arguments, cwd=tmp_path)
        assert_one_sentence(result, kept)
        assert (tmp_path / kept).read_bytes() == before


@pytest.mark.parametrize("kind", ["white", "black", "noise", "gradient", "clear"])
def test_a_blank_page_is_not_guessed(kind, weights, tmp_path):
    page = np.full((300, 400), 255.0)
    if kind == "black":
        page[:] = 0
    elif kind == "noise":
        page = np.random.default_rng(0).normal(200, 3, page.shape)
    elif kind == "gradient":
        page = page * np.linspace(0.4, 1, 400)
    picture = Image.fromarray(np.uint8(np.clip(page, 0, 255)))
    if kind == "clear":
        picture.putalpha(0)
    picture.save(tmp_path / "blank.png")
    with pytest.raises(SystemExit, match=r"blank.png.*nothing to read"):
        demo.main([str(tmp_path / "blank.png"), "--model", str(weights)])


def test_several_digits_are_mentioned(weights, tmp_path, capsys):
    both = np.hstack([np.asarray(draw_digit(4)), np.asarray(draw_digit(7))])
    Image.fromarray(both).save(tmp_path / "47.png")
    demo.main([str(tmp_path / "47.png"), "--model", str(weights)])
    warning = capsys.readouterr().err
    assert "several digits" in warning and warning.count("\n") == 1


def test_two_equal_digits_are_not_read_as_one(weights):
    page = np.full((500, 500), 255, np.uint8)
    page[:200, :200] = page[300:, 300:] = draw_digit(4, 200)
    _, others, probabilities = demo.classify(demo.load_model(weights), page)
    assert others == 1 and np.argmax(probabilities) == 4


def test_an_unsure_answer_is_mentioned(weights, tmp_path, capsys, monkeypatch):
    draw_digit(4).save(tmp_path / "four.png")
    warnings = []
    for limit in (0.6, 1.0):  # of which no probability reaches the second one
        monkeypatch.setattr(demo, "UNSURE", limit)
        demo.main([str(tmp_path / "four.png"), "--model", str(weights)])
        captured = capsys.readouterr()
        assert captured.out.splitlines()[-1] == "4"
        warnings.append(captured.err)
    assert warnings[0] == ""
    assert "unsure" in warnings[1] and warnings[1].count("\n") == 1


def png_of_size(width, height):
    """Return a PNG that claims to be huge and holds next to nothing."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = zlib.compress(b"\0" * 1000)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def encoded(picture, kind):
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return buffer.getvalue()


BROKEN_PICTURES = {
    "empty": b"",
    "text": b"this is no picture",
    "half a PNG": encoded(draw_digit(4), "PNG")[:-400],
    "half a JPEG": encoded(draw_digit(4), "JPEG")[:-900],
    "half a GIF": encoded(draw_digit(4), "GIF")[:-400],
    "half a TIFF": encoded(draw_digit(4), "TIFF")[:300],
    "a PNG's first bytes": encoded(draw_digit(4), "PNG")[:30],
    "a bomb of 3 gigapixels": png_of_size(60_000, 50_000),
    "150 megapixels without data": png_of_size(15_000, 10_000),
}


@pytest.mark.parametrize("how", BROKEN_PICTURES)
def test_a_broken_picture_ends_in_a_sentence(how, weights, tmp_path):
    path = tmp_path / "broken.png"
    path.write_bytes(BROKEN_PICTURES[how])
    with pytest.raises(SystemExit) as stop:
        demo.main([str(path), "--model", str(weights)])
    message = stop.value.code
    assert message.startswith("demo.py: ") and str(path) in message
    assert "\n" not in message


@settings(max_examples=60, deadline=None)
@given(
    data=st.binary(max_size=60),
    at=st.integers(0, 300),
    kind=st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"]),
)
def test_damaged_pictures_never_give_a_traceback(tmp_path_factory, data, at, kind):
    good = encoded(draw_digit(7, 60), kind)
    path = tmp_path_factory.mktemp("damaged") / "picture"
    path.write_bytes(good[:at] + data + good[at + len(data) :])
    try:
        assert demo.read_grey(path).dtype == np.uint8
    except ValueError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("image", ["nowhere.png", ".", "loop"])
def test_a_picture_that_is_not_there_ends_in_a_sentence(image, weights, tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    result = run("demo.py", image, "--model", weights, cwd=tmp_path)
    assert_one_sentence(result, image)


def test_missing_weights_name_the_command_that_makes_them(tmp_path):
    result = run("demo.py", cwd=tmp_path)
    assert_one_sentence(result, "model.ckpt", "python train.py")


class Hostile:
    """Unpickled, it would write a file."""

    def __reduce__(self):
        return (exec, ("open('hacked', 'w').close()",))


def with_nan():
    weights = ConvNet().state_dict()
    weights["fc.weight"][3, 5] = float("nan")
    return weights


def too_large():
    weights = ConvNet().state_dict()
    weights["layer1.0.weight"][:] = 3e38
    return weights


def flip_a_bit(path):
    """In the middle of fc.weight: torch.load would not notice it."""
    data = bytearray(path.read_bytes())
    place = data.find(torch.load(path)["fc.weight"].numpy().tobytes()) + 2003
    data[place] ^= 0x40
    path.write_bytes(data)


BROKEN_WEIGHTS = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("these are no weights"),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-5000]),
    "garbage": lambda path: path.write_bytes(bytes(range(256)) * 50),
    "a whole model": lambda path: torch.save(ConvNet(), path),
    "a dict around it": lambda path: torch.save(
        {"model": ConvNet().state_dict()}, path
    ),
    "other sizes": lambda path: torch.save(ConvNet(47).state_dict(), path),
    "a list": lambda path: torch.save([1, 2], path),
    "a tensor": lambda path: torch.save(torch.zeros(3), path),
    "nothing in it": lambda path: torch.save({}, path),
    "a flipped bit": flip_a_bit,
    "NaN in it": lambda path: torch.save(with_nan(), path),
    "far too large ones": lambda path: torch.save(too_large(), path),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
    "hostile": lambda path: path.write_bytes(pickle.dumps(Hostile())),
    "hostile, by torch.save": lambda path: torch.save({"fc.bias": Hostile()}, path),
}


@pytest.mark.parametrize("how", BROKEN_WEIGHTS)
def test_broken_weights_end_in_a_sentence(how, weights, tmp_path, monkeypatch, capsys):
    path = tmp_path / "broken.ckpt"
    path.write_bytes(weights.read_bytes())
    BROKEN_WEIGHTS[how](path)
    draw_digit(4).save(tmp_path / "four.png")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        demo.main(["four.png", "--model", str(path)])
    message = stop.value.code
    assert message.startswith("demo.py: ") and str(path) in message
    assert "\n" not in message and capsys.readouterr().out == ""
    assert not (tmp_path / "hacked").exists()


def test_weights_saved_in_the_plain_tutorial_layout_load(tmp_path):
    """Other strides, other dtypes of the counters: what matters is keys and shapes."""
    torch.save(
        ConvNet().to(memory_format=torch.channels_last).state_dict(), tmp_path / "w"
    )
    demo.load_model(tmp_path / "w")


@pytest.mark.parametrize("target", ["no/such/folder.png", ".", "/dev/null"])
def test_a_bad_save_input_ends_in_a_sentence(target, weights, tmp_path):
    draw_digit(4).save(tmp_path / "four.png")
    arguments = ["four.png", "--model", weights, "--save-input", target]
    result = run("demo.py", *arguments, cwd=tmp_path)
    assert_one_sentence(result, target)


def test_it_starts_without_torchvision():
    assert imports("demo", "numpy") and not imports("demo", "torchvision")
