"""resolve.py: what it reads and writes, and everything a user can get wrong."""

import gzip
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import RAW, ROOT, assert_one_sentence, idx_bytes, imports, run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import resolve

IMAGES = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
LABELS = np.array([7, 2, 1, 0, 7], np.uint8)


@pytest.fixture
def pair(tmp_path):
    """Two small IDX files, named like MNIST's."""
    images = tmp_path / "my-images-idx3-ubyte"
    labels = tmp_path / "my-labels-idx1-ubyte"
    images.write_bytes(idx_bytes(IMAGES))
    labels.write_bytes(idx_bytes(LABELS))
    return images, labels


def contents(folder):
    """All files below a folder: name -> bytes."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def resolve_to(output, *arguments):
    resolve.main([*map(str, arguments), "--output", str(output)])
    return contents(output)


@pytest.mark.parametrize("name", sorted(path.name for path in RAW.glob("*.gz")))
def test_read_idx_agrees_with_torchvisions_reader(name, tmp_path):
    from torchvision.datasets.mnist import read_sn3_pascalvincent_tensor

    plain = tmp_path / "plain"
    plain.write_bytes(gzip.decompress((RAW / name).read_bytes()))
    expected = read_sn3_pascalvincent_tensor(str(plain)).numpy()
    for path in (plain, RAW / name):
        array = resolve.read_idx(path)
        assert array.dtype == np.uint8 and np.array_equal(array, expected)
    assert array.flags.writeable


def test_without_arguments_it_writes_the_test_set(tmp_path, test_set):
    """In a folder that holds the packed data alone, like a fresh clone."""
    (tmp_path / "data").symlink_to(ROOT / "data")
    result = run("resolve.py", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    expected = "Wrote 10000 pictures and their labels to test, see preview.png there"
    assert result.stdout.startswith(expected) and result.stdout.count("\n") == 1
    images, labels = test_set
    folder = tmp_path / "test"
    assert len(list(folder.iterdir())) == 10_002
    for i, image in enumerate(images):
        with Image.open(folder / f"{i}.png") as picture:
            assert picture.mode == "L" and np.array_equal(np.asarray(picture), image)
    written = (folder / "label.txt").read_text().removesuffix("\n")
    assert [int(label) for label in written.split(",")] == labels.tolist()
    assert written.startswith("7,2,1,0,") and "\n" not in written


def test_a_second_run_gives_the_same_bytes_and_keeps_other_files(pair, tmp_path):
    output = tmp_path / "out"
    first = resolve_to(output, *pair)
    (output / "mine.txt").write_text("mine")
    (output / "3.png").unlink()  # one is missing, as after a kill
    assert resolve_to(output, *pair) == {**first, "mine.txt": b"mine"}


def test_labels_are_found_beside_the_images_plain_or_gzip(pair, tmp_path):
    images, labels = pair
    assert b"7,2,1,0,7\n" == resolve_to(tmp_path / "one", images)["label.txt"]
    labels.with_name(labels.name + ".gz").write_bytes(
        gzip.compress(labels.read_bytes())
    )
    labels.unlink()
    assert b"7,2,1,0,7\n" == resolve_to(tmp_path / "two", images)["label.txt"]


def test_gzip_is_told_by_content_not_by_name(pair, tmp_path):
    images, labels = pair
    images.write_bytes(gzip.compress(images.read_bytes()))
    misleading = labels.rename(tmp_path / "labels.gz")
    assert "label.txt" in resolve_to(tmp_path / "out", images, misleading)


def test_without_labels_it_writes_the_pictures_and_says_so(pair, tmp_path, capsys):
    images, labels = pair
    labels.unlink()
    files = resolve_to(tmp_path / "out", images)
    assert sorted(files) == [*(f"{i}.png" for i in range(5)), "preview.png"]
    assert "5 pictures, no labels" in capsys.readouterr().out


def test_class_folders_are_what_imagefolder_reads(pair, tmp_path):
    from torchvision.datasets import ImageFolder

    files = resolve_to(tmp_path / "out", *pair, "--class-folders")
    assert {"7/0.png", "7/4.png", "2/1.png", "preview.png"} < set(files)
    folder = ImageFolder(tmp_path / "out")
    assert folder.classes == ["0", "1", "2", "7"] and len(folder) == 5
    for path, target in folder.samples:
        index = int(Path(path).stem)
        assert int(folder.classes[target]) == LABELS[index]
        assert np.array_equal(np.asarray(Image.open(path)), IMAGES[index])


def test_the_preview_shows_the_first_hundred(test_set):
    images, labels = test_set
    sheet = np.asarray(resolve.draw_preview(images, labels))
    assert sheet.shape == (800, 640)
    cell = Image.fromarray(images[57]).resize((56, 56))
    assert np.array_equal(sheet[404:460, 452:508], np.asarray(cell))
    changed = labels.copy()
    changed[57] = (changed[57] + 1) % 10
    differs = np.asarray(resolve.draw_preview(images, changed)) != sheet
    rows, columns = np.nonzero(differs)  # the caption below that picture alone
    assert rows.min() >= 460 and rows.max() < 480
    assert columns.min() >= 448 and columns.max() < 512


def header(*sizes, magic=b"\0\0\x08\x03"):
    return magic + b"".join(struct.pack(">I", size) for size in sizes)


GOOD = idx_bytes(IMAGES)
BAD_IMAGES = {
    "empty": b"",
    "too short for the magic": GOOD[:3],
    "too short for a header": GOOD[:15],
    "HTML": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
    "truncated": GOOD[:-1],
    "no data": GOOD[:16],
    "a byte too many": GOOD + b"\0",
    "int16": b"\0\0\x0b" + GOOD[3:],
    "float64": b"\0\0\x0e" + GOOD[3:],
    "signed bytes": b"\0\0\x09" + GOOD[3:],
    "no dimensions": b"\0\0\x08\0",
    "200 dimensions": b"\0\0\x08\xc8" + GOOD,
    "labels": idx_bytes(LABELS),
    "two dimensions": idx_bytes(IMAGES[0]),
    "no pictures": header(0, 28, 28),
    "no width": header(5, 28, 0),
    "4 billion pictures": header(2**32 - 1, 28, 28) + bytes(1000),
    "absurd in all": header(2**32 - 1, 2**32 - 1, 2**32 - 1) + bytes(1000),
    "little-endian magic": b"\x03\x08\0\0" + GOOD[4:],
    "little-endian sizes": GOOD[:4] + struct.pack("<3I", 5, 4, 3) + GOOD[16:],
    "truncated gzip": gzip.compress(GOOD)[:-9],
    "gzip of nothing": gzip.compress(b""),
    "only gzip's magic": b"\x1f\x8b",
    "gzip with a wrong checksum": gzip.compress(GOOD)[:-8] + bytes(8),
    "gzip, then garbage": gzip.compress(GOOD) + b"garbage",
    "gzip of a truncated file": gzip.compress(GOOD[:-1]),
    "broken deflate": gzip.compress(GOOD)[:12] + b"\xff" * 30,
    "a PNG": b"\x89PNG\r\n\x1a\n" + bytes(50),
}


@pytest.mark.parametrize("how", BAD_IMAGES)
def test_bad_images_end_in_a_sentence_and_nothing_is_written(how, pair, tmp_path):
    images, labels = pair
    images.write_bytes(BAD_IMAGES[how])
    before = contents(tmp_path)
    with pytest.raises(SystemExit) as stop:
        resolve_to(tmp_path / "out", images, labels)
    message = stop.value.code
    assert message.startswith(f"resolve.py: {images}: ") and "\n" not in message
    assert len(message) > len(f"resolve.py: {images}: ") + 15
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("labels_are", "words"),
    [
        (idx_bytes(LABELS[:4]), "4 labels do not fit the 5 images"),
        (GOOD, "expected labels of 1 dimension, found 3"),
        (b"", "too short"),
    ],
)
def test_bad_labels_end_in_a_sentence(labels_are, words, pair, tmp_path):
    pair[1].write_bytes(labels_are)
    with pytest.raises(SystemExit, match=words) as stop:
        resolve_to(tmp_path / "out", pair[0])
    assert str(pair[1]) in stop.value.code
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("path", ["nowhere", ".", ""])
def test_a_path_that_is_no_file_ends_in_a_sentence(path, tmp_path):
    result = run("resolve.py", path, cwd=tmp_path)
    assert_one_sentence(result, path)
    assert list(tmp_path.iterdir()) == []


def test_class_folders_without_labels_end_in_a_sentence(pair, tmp_path):
    pair[1].unlink()
    with pytest.raises(SystemExit, match="labels"):
        resolve_to(tmp_path / "out", pair[0], "--class-folders")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["other bytes", "folder", "dangling link"])
def test_what_is_not_its_own_is_never_overwritten(kind, pair, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    own = output / "3.png"
    if kind == "other bytes":
        own.write_bytes(b"my own picture")
    elif kind == "folder":
        own.mkdir()
    else:
        own.symlink_to("nowhere")
    with pytest.raises(SystemExit) as stop:
        resolve_to(output, *pair)
    assert str(own) in stop.value.code
    assert list(output.iterdir()) == [own]
    assert kind != "other bytes" or own.read_bytes() == b"my own picture"


def test_an_output_that_is_a_file_is_kept(pair, tmp_path):
    output = tmp_path / "out"
    output.write_bytes(b"mine")
    before = contents(tmp_path)
    for target in (output, output / "below"):
        with pytest.raises(SystemExit) as stop:
            resolve_to(target, *pair)
        assert str(output) in stop.value.code
    assert contents(tmp_path) == before


@pytest.mark.parametrize("exists", [False, True])
def test_a_full_disk_in_the_middle_leaves_nothing(exists, pair, tmp_path, monkeypatch):
    real_open = open

    def full_after_three(path, mode="r", *args):
        if "x" in mode and str(path).endswith("3.png"):
            raise OSError(28, "No space left on device", str(path))
        return real_open(path, mode, *args)

    output = tmp_path / "out"
    if exists:
        output.mkdir()
    before = contents(tmp_path)
    monkeypatch.setattr("builtins.open", full_after_three)
    with pytest.raises(SystemExit, match="No space left"):
        resolve.main([*map(str, pair), "--output", str(output)])
    monkeypatch.undo()
    assert contents(tmp_path) == before and output.exists() == exists
    assert not exists or list(output.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="resource is not on Windows")
def test_a_gzip_bomb_takes_no_memory(tmp_path):
    """A header of 4 billion pictures, then gigabytes of zeros that compress well."""
    bomb = tmp_path / "bomb"
    with gzip.open(bomb, "wb", 1) as file:
        file.write(header(2**32 - 1, 28, 28))
        for _ in range(300):
            file.write(bytes(1 << 20))
    code = (
        "import resource, resolve, sys\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: resolve.read_idx(sys.argv[1])\n"
        "except ValueError: pass\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    command = [sys.executable, "-c", code, str(bomb)]
    kilobytes = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert int(kilobytes) < 50_000


def test_progress_is_shown_on_a_terminal_only(tmp_path, monkeypatch, capsys):
    images = np.zeros((2000, 2, 2), np.uint8)
    resolve.encode_files(images, None, False)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    resolve.encode_files(images, None, False)
    assert "2000 of 2000" in capsys.readouterr().err


def test_it_starts_without_torch():
    assert imports("resolve", "numpy") and not imports("resolve", "torch")


PROPERTY = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@PROPERTY
@given(
    shape=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    data=st.data(),
    packed=st.booleans(),
)
def test_any_array_survives_the_round_trip(shape, data, packed, tmp_path):
    size = int(np.prod(shape))
    values = data.draw(st.binary(min_size=size, max_size=size))
    array = np.frombuffer(values, np.uint8).reshape(shape)
    path = tmp_path / "file"
    written = idx_bytes(array)
    path.write_bytes(gzip.compress(written) if packed else written)
    assert np.array_equal(resolve.read_idx(path), array)
    assert resolve.read_idx(path).shape == array.shape


@PROPERTY
@given(shape=st.tuples(st.integers(1, 12), st.integers(1, 70), st.integers(1, 70)))
def test_pictures_of_any_shape_survive_the_round_trip(shape, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapes")
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    (folder / "file").write_bytes(idx_bytes(images))
    resolve.main([str(folder / "file"), "--output", str(folder / "out")])
    for i, image in enumerate(images):
        assert np.array_equal(
            np.asarray(Image.open(folder / "out" / f"{i}.png")), image
        )


@PROPERTY
@given(garbage=st.binary(max_size=400), at=st.integers(0, 100), start=st.booleans())
def test_garbage_never_gives_a_traceback_or_a_file(garbage, at, start, tmp_path):
    """Random bytes alone, and random bytes written over a good file."""
    broken = garbage if start else GOOD[:at] + garbage + GOOD[at + len(garbage) :]
    path = tmp_path / "garbage"
    path.write_bytes(broken)
    try:
        array = resolve.read_idx(path)
    except ValueError as error:
        assert re.match(f"{re.escape(str(path))}: .{{15}}", str(error))
    else:
        assert idx_bytes(array) == broken or broken[:2] == b"\x1f\x8b"
        return
    with pytest.raises(SystemExit):
        resolve.main([str(path), "--output", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_a_file_is_written_behind_a_link_and_over_links_in_a_circle(tmp_path):
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "circle").symlink_to("circle")
    for name in ("link", "circle"):
        resolve.check_writable(tmp_path / name)
        resolve.replace_file(tmp_path / name, b"all")
        assert (tmp_path / name).read_bytes() == b"all"
    assert (tmp_path / "link").is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["circle", "file", "link"]
