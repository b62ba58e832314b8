"""resolve.py: what it reads and writes, what people bring, what is broken."""

import gzip
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from conftest import RAW, idx_bytes, run, sentence_of
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

import resolve

IMAGES = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
LABELS = np.array([7, 2, 1, 0, 7], np.uint8)
GOOD, NAME, DOTTED = idx_bytes(IMAGES), "my-images-idx3-ubyte", "my-images.idx3-ubyte"
OTHER = "my-labels.idx1-ubyte"


@pytest.fixture
def output(tmp_path):
    return tmp_path / "output"


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def resolve_to(output, *arguments):
    resolve.main([*map(str, arguments), "--output", str(output)])
    return sorted(p.relative_to(output).as_posix() for p in output.rglob("*.*"))


def test_without_arguments_it_writes_the_test_set_from_any_folder(tmp_path, test_set):
    result = run("resolve.py", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "Wrote 10000 pictures and their labels to test\n"
    assert len(list((tmp_path / "test").iterdir())) == 10_001
    for i, image in enumerate(test_set[0]):
        with Image.open(tmp_path / "test" / f"{i}.png") as picture:
            assert picture.mode == "L" and np.array_equal(np.asarray(picture), image)
    labels = (tmp_path / "test" / "label.txt").read_text()
    assert labels == ",".join(map(str, test_set[1])) + "\n"


@pytest.mark.parametrize("name", sorted(path.name for path in RAW.glob("*.gz")))
def test_read_idx_agrees_with_torchvisions_reader(name, tmp_path):
    from torchvision.datasets.mnist import read_sn3_pascalvincent_tensor

    plain = put(tmp_path / "plain", gzip.decompress((RAW / name).read_bytes()))
    expected = read_sn3_pascalvincent_tensor(str(plain)).numpy()
    for path in (plain, RAW / name):
        assert np.array_equal(resolve.read_idx(path, expected.ndim), expected)


@given(arrays(np.uint8, st.tuples(*[st.integers(1, 9)] * 3)))
def test_any_images_come_back_as_they_were(tmp_path_factory, images):
    folder = tmp_path_factory.mktemp("round")
    resolve_to(folder / "out", put(folder / "x.gz", idx_bytes(images)))
    for i, image in enumerate(images):
        picture = Image.open(folder / "out" / f"{i}.png")
        assert np.array_equal(np.asarray(picture), image)


def test_class_folders_are_what_imagefolder_reads(tmp_path, output):
    from torchvision.datasets import ImageFolder

    images = put(tmp_path / NAME, GOOD)
    labels = put(tmp_path / "other", idx_bytes(LABELS))
    resolve_to(output, images, labels, "--class-folders")
    folder = ImageFolder(output)
    assert folder.classes == ["0", "1", "2", "7"] and len(folder) == 5
    for path, target in folder.samples:
        index = int(Path(path).stem)
        assert int(folder.classes[target]) == LABELS[index]
        assert np.array_equal(np.asarray(Image.open(path)), IMAGES[index])


@pytest.mark.parametrize("asked", [NAME, f"{NAME}.gz", DOTTED])
@pytest.mark.parametrize("images", [NAME, f"{NAME}.gz", DOTTED, f"{NAME}/{DOTTED}"])
@pytest.mark.parametrize("labels", [OTHER, f"{OTHER}.gz", f"{OTHER}/{OTHER}"])
def test_images_and_labels_are_found_by_the_names_people_have(
    asked, images, labels, tmp_path, output
):
    put(tmp_path / images, GOOD)
    put(tmp_path / labels, idx_bytes(LABELS))
    resolve_to(output, tmp_path / asked)
    assert (output / "label.txt").read_text() == "7,2,1,0,7\n"


def test_labels_of_an_image_file_in_its_own_folder_are_found(tmp_path, output):
    images = put(tmp_path / NAME / NAME, GOOD)
    put(tmp_path / "my-labels-idx1-ubyte" / "my-labels-idx1-ubyte", idx_bytes(LABELS))
    (tmp_path / f"{NAME}.gz").mkdir()  # a folder is not taken for the file
    assert "label.txt" in resolve_to(output, images)


def test_without_labels_it_writes_the_pictures_and_says_so(tmp_path, output, capsys):
    images = put(tmp_path / NAME, gzip.compress(GOOD))  # gzip whatever the name says
    assert resolve_to(output, images) == [f"{i}.png" for i in range(5)]
    assert "5 pictures, no labels" in capsys.readouterr().out
    sentence_of(resolve.main, images, "--class-folders", capsys=capsys)


def test_ctrl_c_ends_in_a_sentence_and_the_next_run_completes_the_folder(
    tmp_path, output, monkeypatch, capsys
):
    images = put(tmp_path / NAME, GOOD)
    put(tmp_path / OTHER, idx_bytes(LABELS))
    complete = resolve_to(output, images)
    (output / "3.png").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "save", Mock(side_effect=KeyboardInterrupt))
        sentence = sentence_of(resolve.main, images, "--output", output, capsys=capsys)
    assert "stopped" in sentence and not (output / "label.txt").exists()
    assert resolve_to(output, images) == complete


def test_a_folder_with_other_files_is_not_written_into(tmp_path, output, capsys):
    images = put(tmp_path / NAME, GOOD)
    resolve_to(output, images)
    (output / "5.png").write_bytes(b"mine")
    (output / "3.png").unlink()
    sentence = sentence_of(resolve.main, images, "--output", output, capsys=capsys)
    assert str(output / "5.png") in sentence and not (output / "3.png").exists()


@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db", "7/desktop.ini"])
def test_files_of_the_operating_system_are_left_alone(name, tmp_path, output):
    images = put(tmp_path / NAME, GOOD)
    system = put(output / name, b"the system's")
    assert "4.png" in resolve_to(output, images)
    assert system.read_bytes() == b"the system's"


BROKEN = {
    "empty": b"",
    "HTML": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
    "too short a header": GOOD[:15],
    "truncated": GOOD[:-1],
    "a byte too many": GOOD + b"\0",
    "no pictures": idx_bytes(IMAGES[:0]),
    "int16": b"\0\0\x0b" + GOOD[3:],
    "labels": idx_bytes(LABELS),
    "4 billion pictures": GOOD[:4] + b"\xff" * 4 + GOOD[8:],
    "truncated gzip": gzip.compress(GOOD)[:-9],
    "damaged gzip": gzip.compress(GOOD)[:-8] + b"\0" * 8,
    "zip": b"PK\3\4" + GOOD,
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_file_ends_in_a_sentence_with_nothing_written(
    how, tmp_path, output, capsys
):
    path = tmp_path / "broken"
    path.write_bytes(BROKEN[how])
    sentence = sentence_of(resolve.main, path, "--output", output, capsys=capsys)
    assert sentence.startswith(f"resolve.py: {path}: ") and not output.exists()
    assert "unpack zip" in sentence


@pytest.mark.parametrize("labels", [idx_bytes(LABELS[:4]), GOOD, b"", None])
def test_labels_that_do_not_fit_end_in_a_sentence(labels, tmp_path, output, capsys):
    images, path = put(tmp_path / NAME, GOOD), tmp_path / "labels"
    if labels is not None:
        path.write_bytes(labels)
    options = [images, path, "--output", output]
    assert str(path) in sentence_of(resolve.main, *options, capsys=capsys)
    assert not output.exists()
