"""resolve.py: what it reads and writes, which labels it takes, what stays loud."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from conftest import RAW, idx_bytes, run, sentence_of
from PIL import Image

import resolve

IMAGES = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
LABELS = np.array([7, 2, 1, 0, 7], np.uint8)
GOOD, GOOD_LABELS = idx_bytes(IMAGES), idx_bytes(LABELS)
IMAGES_NAME, LABELS_NAME = "my-images-idx3-ubyte", "my-labels-idx1-ubyte"
PICTURES = [f"{i}.png" for i in range(5)]


@pytest.fixture
def output(tmp_path):
    return tmp_path / "new" / "output"


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def files_in(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def resolve_to(output, *arguments):
    resolve.main([*map(str, arguments), "--output", str(output)])
    return files_in(output)


def test_without_arguments_it_writes_the_test_set_from_any_folder(tmp_path, test_set):
    result = run("resolve.py", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    pictures, labels = result.stdout.splitlines()
    assert pictures == "Wrote 10000 pictures to test"
    assert labels == f"Wrote their labels to {Path('test', 'label.txt')}"
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


@pytest.mark.parametrize("seed", range(10))
def test_any_images_come_back_as_they_were(seed, tmp_path, output):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, rng.integers(1, 10, 3), np.uint8)
    files = resolve_to(output, put(tmp_path / "x.gz", idx_bytes(images)))
    assert len(files) == len(images)
    for i, image in enumerate(images):
        with Image.open(output / f"{i}.png") as picture:
            assert np.array_equal(np.asarray(picture), image)


def test_class_folders_are_what_imagefolder_reads(tmp_path, output):
    from torchvision.datasets import ImageFolder

    images = put(tmp_path / IMAGES_NAME, GOOD)
    labels = put(tmp_path / "other", GOOD_LABELS)
    resolve_to(output, images, labels, "--class-folders")
    folder = ImageFolder(output)
    assert folder.classes == ["0", "1", "2", "7"] and len(folder) == 5
    for path, target in folder.samples:
        index = int(Path(path).stem)
        assert int(folder.classes[target]) == LABELS[index]
        assert np.array_equal(np.asarray(Image.open(path)), IMAGES[index])


@pytest.mark.parametrize("images", [IMAGES_NAME, f"{IMAGES_NAME}.gz"])
@pytest.mark.parametrize("labels", [LABELS_NAME, f"{LABELS_NAME}.gz"])
def test_labels_beside_the_images_are_found(images, labels, tmp_path, output):
    put(tmp_path / labels, GOOD_LABELS)
    files = resolve_to(output, put(tmp_path / images, GOOD))
    assert [*files] == [*PICTURES, "label.txt"]
    assert files["label.txt"].split() == [b"7,2,1,0,7"]


def test_without_labels_it_writes_the_pictures_and_says_no_more(
    tmp_path, output, capsys
):
    images = put(tmp_path / IMAGES_NAME, GOOD)
    assert [*resolve_to(output, images)] == PICTURES
    assert capsys.readouterr().out == f"Wrote 5 pictures to {output}\n"


def test_a_gzipped_file_needs_no_gz_in_its_name(tmp_path, output):
    images = put(tmp_path / IMAGES_NAME, gzip.compress(GOOD))
    labels = put(tmp_path / "other", gzip.compress(GOOD_LABELS))
    assert [*resolve_to(output, images, labels)] == [*PICTURES, "label.txt"]


def test_labels_in_the_folder_above_are_not_used(tmp_path, output):
    images = put(tmp_path / IMAGES_NAME / IMAGES_NAME, GOOD)
    put(tmp_path / LABELS_NAME, GOOD_LABELS)
    assert [*resolve_to(output, images)] == PICTURES


def test_a_folder_with_the_name_of_the_labels_is_not_taken_for_them(tmp_path, output):
    images = put(tmp_path / IMAGES_NAME, GOOD)
    put(tmp_path / LABELS_NAME / LABELS_NAME, GOOD_LABELS)
    assert [*resolve_to(output, images)] == PICTURES


@pytest.mark.parametrize("asked", ["x", "x.gz"])
def test_for_a_name_without_images_no_labels_are_guessed(asked, tmp_path, output):
    put(tmp_path / "x", GOOD)
    put(tmp_path / "x.gz", GOOD)
    assert [*resolve_to(output, tmp_path / asked)] == PICTURES


def test_only_the_file_named_is_read(tmp_path, output):
    put(tmp_path / f"{IMAGES_NAME}.gz", GOOD)
    with pytest.raises(FileNotFoundError):
        resolve_to(output, tmp_path / IMAGES_NAME)
    assert not output.exists()


def test_class_folders_without_labels_end_in_a_sentence(tmp_path, output, capsys):
    options = [put(tmp_path / IMAGES_NAME, GOOD), "--class-folders", "--output", output]
    sentence = sentence_of(resolve.main, *options, capsys=capsys)
    assert "--class-folders" in sentence and not output.exists()


@pytest.mark.parametrize("count", [4, 6])
def test_too_few_or_too_many_labels_end_in_a_sentence(count, tmp_path, output, capsys):
    images = put(tmp_path / IMAGES_NAME, GOOD)
    labels = put(tmp_path / "labels", idx_bytes(np.ones(count, np.uint8)))
    options = [images, labels, "--output", output]
    sentence = sentence_of(resolve.main, *options, capsys=capsys)
    assert f"{count} labels" in sentence and "5 images" in sentence
    assert not output.exists()


@pytest.mark.parametrize("name", ["0.png", "label.txt", ".DS_Store", "7/0.png"])
def test_into_a_folder_that_is_not_empty_nothing_is_written(
    name, tmp_path, output, capsys
):
    images = put(tmp_path / IMAGES_NAME, GOOD)
    put(output / name, b"mine")
    sentence = sentence_of(resolve.main, images, "--output", output, capsys=capsys)
    assert str(output) in sentence and "not empty" in sentence
    assert files_in(output) == {name: b"mine"}


@pytest.mark.parametrize("earlier", [[], ["--class-folders"]])
@pytest.mark.parametrize("now", [[], ["--class-folders"]])
def test_a_second_run_leaves_the_pictures_of_the_first_alone(
    earlier, now, tmp_path, output, capsys
):
    images = put(tmp_path / IMAGES_NAME, GOOD)
    put(tmp_path / LABELS_NAME, GOOD_LABELS)
    before = resolve_to(output, images, *earlier)
    put(images, idx_bytes(255 - IMAGES))
    options = [images, *now, "--output", output]
    assert "not empty" in sentence_of(resolve.main, *options, capsys=capsys)
    assert files_in(output) == before and len(before) == 6


def test_an_empty_folder_is_as_good_as_a_new_one(tmp_path, output):
    output.mkdir(parents=True)
    assert [*resolve_to(output, put(tmp_path / IMAGES_NAME, GOOD))] == PICTURES


def test_no_images_and_no_labels_give_no_pictures_and_an_empty_label_file(
    tmp_path, output, capsys
):
    put(tmp_path / LABELS_NAME, idx_bytes(LABELS[:0]))
    files = resolve_to(output, put(tmp_path / IMAGES_NAME, idx_bytes(IMAGES[:0])))
    assert {name: data.strip() for name, data in files.items()} == {"label.txt": b""}
    assert capsys.readouterr().out.startswith("Wrote 0 pictures to ")


BROKEN = {
    "empty": b"",
    "HTML": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
    "too short a header": GOOD[:15],
    "truncated": GOOD[:-1],
    "a byte too many": GOOD + b"\0",
    "int16": b"\0\0\x0b" + GOOD[3:],
    "labels": GOOD_LABELS,
    "4 billion pictures": GOOD[:4] + b"\xff" * 4 + GOOD[8:],
    "truncated gzip": gzip.compress(GOOD)[:-9],
    "damaged gzip": gzip.compress(GOOD)[:-8] + b"\0" * 8,
    "zip": b"PK\3\4" + GOOD,
}
LOUD = (ValueError, OSError, EOFError, SystemExit)


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_file_is_an_error_with_nothing_written(how, tmp_path, output):
    path = put(tmp_path / "broken", BROKEN[how])
    with pytest.raises(LOUD) as error:
        resolve_to(output, path)
    assert getattr(error.value, "code", 1) and not output.exists()


@pytest.mark.parametrize("labels", [b"", GOOD_LABELS[:-1]])
def test_broken_labels_are_an_error_with_nothing_written(labels, tmp_path, output):
    images = put(tmp_path / IMAGES_NAME, GOOD)
    put(tmp_path / LABELS_NAME, labels)
    with pytest.raises(LOUD):
        resolve_to(output, images)
    assert not output.exists()


def test_labels_given_as_images_are_named_as_what_they_are(tmp_path, output):
    path = put(tmp_path / "mistaken", GOOD_LABELS)
    with pytest.raises(ValueError, match="begins with 00 00 08 01, expected") as error:
        resolve_to(output, path)
    assert str(path) in str(error.value) and "expected 00 00 08 03" in str(error.value)
