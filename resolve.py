"""Turn an IDX file, the binary format of MNIST, into the pictures that it holds.

    python resolve.py                                        # the MNIST test set
    python resolve.py IMAGES LABELS --output DIR --class-folders

Without arguments it writes test/0.png ... test/9999.png and, last of all, their labels
in this order to test/label.txt (7,2,1,0,...).

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
import glob
import gzip
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

DATA = Path(__file__).resolve().parent / "data" / "MNIST" / "raw"
PACKED = (b"PK", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf")  # zip and npz, bz2, xz, 7z


def find_file(path: Path) -> Path:
    """Return `path` if it is a file, otherwise one of a name that people give it.

    That is with or without .gz, with ".idx" for "-idx", or in a folder of its own name.
    """
    if path.is_file() or not path.name:
        return path
    name = glob.escape(path.name.removesuffix(".gz"))
    name = name.replace("-idx", "[-.]idx").replace(".idx", "[-.]idx")
    patterns = (name, f"{name}.gz", f"{name}/{name}")
    found = [file for pattern in patterns for file in path.parent.glob(pattern)]
    return next((file for file in found if file.is_file()), path)


def find_labels(images_path: Path) -> Path | None:
    """Return the labels beside `images_path` (images-idx3 -> labels-idx1), if any."""
    images_path = images_path.resolve()
    name = images_path.name.replace("images", "labels").replace("idx3", "idx1")
    for place in (images_path, images_path.parent):  # its folder's, if it has its own
        labels_path = find_file(place.with_name(name))
        if labels_path.is_file() and name != images_path.name:
            return labels_path
    return None


def read_idx(path: Path, ndim: int) -> np.ndarray:
    """Read an IDX file, plain or gzip, as uint8 with `ndim` dimensions.

    Raises OSError if it cannot be opened, ValueError if it is anything else or broken.
    """
    data = path.read_bytes()
    if data.startswith(PACKED):
        raise ValueError(f"{path}: a packed file, unpack it first")
    try:
        if data.startswith(b"\x1f\x8b"):
            data = gzip.decompress(data)
        magic = struct.unpack_from(">HBB", data)
        if magic != (0, 8, ndim):
            raise ValueError(f"it begins with {data[:4].hex(' ')}")
        shape = struct.unpack_from(f">{ndim}I", data, 4)
        return np.frombuffer(data, np.uint8, offset=4 + 4 * ndim).reshape(shape)
    except (OSError, EOFError, zlib.error, struct.error, ValueError) as error:
        raise ValueError(
            f"{path}: expected a whole IDX file that begins with 00 00 08 0{ndim} "
            f"({error}); fetch it again or name another"
        ) from error


def write_pictures(
    images: np.ndarray, labels: np.ndarray | None, output: Path, class_folders: bool
) -> None:
    """Write each image (N, H, W) as a PNG file, and their labels (N,) last.

    Raises ValueError if `output` holds files of other names, OSError.
    """
    names = [f"{i}.png" for i in range(len(images))]
    if class_folders:
        names = [f"{label}/{name}" for label, name in zip(labels, names)]
    strange = {p.relative_to(output) for p in output.rglob("*") if not p.is_dir()}
    strange -= {Path(name) for name in [*names, "label.txt"]}
    if strange:
        raise ValueError(f"{output}: holds {min(strange)}, choose an empty --output")
    output.mkdir(parents=True, exist_ok=True)
    (output / "label.txt").unlink(missing_ok=True)  # where it is, all is complete
    for i, (image, name) in enumerate(zip(images, names)):
        (output / name).parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(output / name)
        if i % 1000 == 0 and sys.stderr.isatty():
            print(f"{i} of {len(images)} pictures", end="\r", file=sys.stderr)
    if labels is not None and not class_folders:  # else the folders are the labels
        (output / "label.txt").write_text(",".join(map(str, labels)) + "\n")
