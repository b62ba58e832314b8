"""Turn an IDX file, the binary format of MNIST, into the pictures that it holds.

    python resolve.py                                        # the MNIST test set
    python resolve.py IMAGES LABELS --output DIR --class-folders

Without arguments it writes test/0.png ... test/9999.png, their labels in this order
to test/label.txt (7,2,1,0,...), and the first hundred on one sheet, test/preview.png.

What an IDX file holds, with all numbers big-endian (most significant byte first):

    offset  bytes  content                          MNIST test images   test labels
    0       2      zero                             00 00               00 00
    2       1      type of the data, 8 is uint8     08                  08
    3       1      number of dimensions d           03                  01
    4       4 d    size of each dimension, uint32   10000, 28, 28       10000
    4+4d    rest   the data, row by row             7840000 pixels      10000 labels

Source: "The IDX file format", Y. LeCun, C. Cortes, C. Burges, The MNIST database.
"""

import argparse
import gzip
import io
import math
import os
import struct
import sys
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

RAW_FOLDER = Path("MNIST", "raw")  # where torchvision, too, keeps the four files


def find_idx(path: Path) -> Path:
    """Return `path`, or the same name with .gz where only that exists."""
    gzipped = path.with_name(path.name + ".gz")
    return gzipped if gzipped.exists() and not path.exists() else path


def read_idx(path: str | Path) -> np.ndarray:
    """Read an IDX file of unsigned bytes, plain or gzip, as uint8 of the file's shape.

    Raises ValueError, with a sentence that names the file, for anything but an IDX
    file of 1 to 3 dimensions whose length is exact; OSError if it can't be opened.
    """
    if not Path(path).is_file():
        raise ValueError(f"{path}: there is no such file, name another")
    with open(path, "rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    try:
        with (gzip.open if is_gzip else open)(path, "rb") as file:
            return read_idx_stream(file)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(
            f"{path}: broken gzip file ({error}), fetch it again"
        ) from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}; fetch it again or name another") from None


def read_idx_stream(file: io.BufferedIOBase) -> np.ndarray:
    """Read IDX from an open file; ValueError says what was expected and found."""
    magic = file.read(4)
    if len(magic) < 4:
        raise ValueError(f"too short for an IDX header, it has {len(magic)} bytes")
    zeros, type_code, dimensions = struct.unpack(">HBB", magic)
    if zeros != 0 or type_code != 8 or not 1 <= dimensions <= 3:
        raise ValueError(
            "not an IDX file of unsigned bytes, which starts with 00 00 08 and 1 to 3 "
            f"dimensions, but with {magic.hex(' ')}"
        )
    header = file.read(4 * dimensions)
    if len(header) < 4 * dimensions:
        raise ValueError(f"too short for an IDX header of {dimensions} dimensions")
    shape = struct.unpack(f">{dimensions}I", header)
    expected = math.prod(shape)
    # Measured before any memory is taken: the header may promise 4 billion pictures.
    found = file.seek(0, os.SEEK_END) - 4 - len(header)
    if expected == 0:
        raise ValueError(f"the header promises nothing, its sizes are {shape}")
    if found != expected:
        raise ValueError(
            f"the header promises {' x '.join(map(str, shape))} = {expected} bytes "
            f"of data, the file holds {found}"
        )
    file.seek(4 + len(header))
    # A copy, as what frombuffer returns is read-only.
    return np.frombuffer(file.read(), np.uint8).reshape(shape).copy()


def read_pair(
    images_path: Path, labels_path: Path | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Read images (N, height, width) and labels (N,), both uint8, that belong together.

    Raises ValueError if one is not of its kind or their counts differ.
    """
    images = read_idx(images_path)
    if images.ndim != 3:
        raise ValueError(
            f"{images_path}: expected images of 3 dimensions, found {images.ndim}"
        )
    if labels_path is None:
        return images, None
    labels = read_idx(labels_path)
    if labels.ndim != 1:
        raise ValueError(
            f"{labels_path}: expected labels of 1 dimension, found {labels.ndim}"
        )
    if len(images) != len(labels):
        raise ValueError(
            f"{labels_path}: {len(labels)} labels do not fit the {len(images)} images "
            f"of {images_path}, use two files that belong together"
        )
    return images, labels


def find_labels(images_path: Path) -> Path | None:
    """Return the labels beside `images_path` (images-idx3 -> labels-idx1), if any."""
    if not images_path.is_file():
        return None
    name = images_path.name.removesuffix(".gz")
    labels_name = name.replace("images", "labels").replace("idx3", "idx1")
    labels_path = find_idx(images_path.with_name(labels_name))
    return labels_path if labels_name != name and labels_path.exists() else None


def encode_png(picture: Image.Image) -> bytes:
    """Return the bytes of `picture` as a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def draw_preview(images: np.ndarray, labels: Sequence | None) -> Image.Image:
    """Draw the first 100 images, ten in a row, each with its label below it.

    A cell has 64 x 80 pixels, the picture in it 56 x 56.
    """
    sheet = Image.new("L", (10 * 64, 10 * 80), 255)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(16)
    for i, image in enumerate(images[:100]):
        left, top = i % 10 * 64, i // 10 * 80
        sheet.paste(Image.fromarray(image).resize((56, 56)), (left + 4, top + 4))
        if labels is not None:
            draw.text((left + 32, top + 69), str(labels[i]), 0, font, anchor="mm")
    return sheet


def encode_files(
    images: np.ndarray, labels: np.ndarray | None, class_folders: bool
) -> dict[str, bytes]:
    """Return all files to write: their names below the output folder, and contents."""
    files = {}
    for i, image in enumerate(images):
        name = f"{labels[i]}/{i}.png" if class_folders else f"{i}.png"
        files[name] = encode_png(Image.fromarray(image))
        if i % 1000 == 999 and sys.stderr.isatty():
            print(f"{i + 1} of {len(images)} pictures", end="\r", file=sys.stderr)
    if labels is not None and not class_folders:  # else the folders are the labels
        files["label.txt"] = (",".join(map(str, labels)) + "\n").encode()
    files["preview.png"] = encode_png(draw_preview(images, labels))
    return files


def part_of(path: Path) -> Path:
    """Return the name under which `path` is written until it is complete."""
    # Of what a link points to, so that the link remains.
    return Path(f"{os.path.realpath(path)}.{os.getpid()}.part")


def check_writable(path: Path) -> None:
    """Raise ValueError or OSError now if replace_file could not write `path` later."""
    if path.exists() and not path.is_file():
        raise ValueError(f"{path}: already there and not a file, choose another name")
    if not path.parent.is_dir():
        raise ValueError(f"{path}: its folder does not exist, make it first")
    part_of(path).touch()
    part_of(path).unlink()


def replace_file(path: Path, data: bytes) -> None:
    """Write a whole file or none: under another name first, then renamed."""
    part = part_of(path)
    try:
        part.write_bytes(data)
        os.replace(part, os.path.realpath(path))
    finally:
        part.unlink(missing_ok=True)


def write_files(files: dict[str, bytes], output: Path) -> None:
    """Write all files below `output`; nothing appears there until all are complete.

    Raises ValueError if one is already there with other contents; OSError.
    """
    if output.exists() and not output.is_dir():
        raise ValueError(f"{output}: not a folder, choose another --output")
    missing = [name for name in files if not os.path.lexists(output / name)]
    for name in files.keys() - set(missing):
        if (output / name).read_bytes() != files[name]:
            raise ValueError(
                f"{output / name}: already there with other contents, move it away "
                "or choose another folder with --output"
            )
    output.parent.mkdir(parents=True, exist_ok=True)
    nearest = output if output.exists() else output.parent  # on the same disk
    with tempfile.TemporaryDirectory(prefix=".resolve-", dir=nearest) as temporary:
        staging = Path(temporary, "complete")
        for folder in {(staging / name).parent for name in files}:
            folder.mkdir(parents=True, exist_ok=True)
        for name in missing:
            with open(f"{staging}/{name}", "xb") as file:
                file.write(files[name])
        if not output.exists():
            staging.rename(output)
            return
        for name in missing:
            (output / name).parent.mkdir(exist_ok=True)
            os.replace(staging / name, output / name)


def main(argv: list[str] | None = None) -> None:
    """Read the command line, check the IDX files, write their pictures."""
    parser = argparse.ArgumentParser(
        description="Turn an IDX file into PNG pictures and a list of labels."
    )
    parser.add_argument(
        "images",
        nargs="?",
        type=Path,
        default=find_idx("data" / RAW_FOLDER / "t10k-images-idx3-ubyte"),
        help="IDX file of images, plain or gzip (default: %(default)s)",
    )
    parser.add_argument(
        "labels",
        nargs="?",
        type=Path,
        help="IDX file of labels (default: the one beside IMAGES, if any)",
    )
    parser.add_argument(
        "--output", type=Path, default="test", help="folder (default: %(default)s)"
    )
    parser.add_argument(
        "--class-folders",
        action="store_true",
        help="write 7/0.png ..., the layout that torchvision's ImageFolder reads",
    )
    args = parser.parse_args(argv)
    try:
        images, labels = read_pair(args.images, args.labels or find_labels(args.images))
        if args.class_folders and labels is None:
            raise ValueError(f"{args.images}: --class-folders needs its labels file")
        write_files(encode_files(images, labels, args.class_folders), args.output)
        what = "pictures, no labels" if labels is None else "pictures and their labels"
        where = f"{args.output}, see preview.png there first"
        print(f"Wrote {len(images)} {what} to {where}", flush=True)
    except (OSError, ValueError) as error:
        sys.exit(f"resolve.py: {error}")
    except KeyboardInterrupt:
        sys.exit("resolve.py: stopped, run it again")


if __name__ == "__main__":
    main()
