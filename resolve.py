"""Turn an IDX file, the binary format of MNIST, into the pictures that it holds.

    python resolve.py                                        # the MNIST test set
    python resolve.py IMAGES LABELS --output DIR --class-folders

Without arguments it writes test/0.png to test/9999.png and then, in the same order,
their labels to test/label.txt (7,2,1,0,...).

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
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

SYSTEM_FILES = ("Thumbs.db", "desktop.ini")  # Windows writes them by itself


def read_idx(path: Path, ndim: int) -> np.ndarray:
    """Return the uint8 array, of `ndim` dimensions, of an IDX file, plain or gzipped.

    Raises OSError if it cannot be opened, ValueError if it is not such a file.
    """
    data = path.read_bytes()
    try:
        if data.startswith(b"\x1f\x8b"):  # as every gzip file does
            data = gzip.decompress(data)
        shape = np.frombuffer(data, ">u4", count=ndim, offset=4)  # > is big-endian
        if data[:4] != bytes([0, 0, 8, ndim]) or 0 in shape:
            raise ValueError(f"it begins with {data[:16].hex(' ')}")

        return np.frombuffer(data, np.uint8, offset=4 + 4 * ndim).reshape(shape)

    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise ValueError(
            f"{path}: expected an IDX file, 00 00 08 0{ndim} ..., plain or gzipped "
            f"({error}); unpack zip, bz2 or xz first"
        ) from error


def find_file(path: Path) -> Path:
    """Return `path`, or the first of the other names that people's files have."""
    dashed = path.name.removesuffix(".gz").replace(".idx", "-idx")
    dotted = dashed.replace("-idx", ".idx")  # as 7-Zip and Kaggle unpack it
    names = [dashed, dotted, f"{dashed}.gz", f"{dotted}.gz"]
    folders = [path.parent, path.parent / dashed, path.parent / dotted]

    candidates = [path, *(folder / name for folder in folders for name in names)]
    return next((file for file in candidates if file.is_file()), path)


def find_labels(images: Path) -> Path | None:
    """Return the labels beside a file of images, or beside the folder that it is in."""
    name = images.name.replace("images", "labels").replace("idx3", "idx1")
    folders = [images.parent, images.parent.parent]

    candidates = [find_file(folder / name) for folder in folders if name != images.name]
    return next((file for file in candidates if file.is_file()), None)


def write_pictures(
    images: np.ndarray, labels: np.ndarray | None, output: Path, class_folders: bool
) -> None:
    """Write images (N, H, W) uint8 as PNG, then labels (N,), into a folder.

    Raises ValueError if there are other files in it.
    """
    names = [f"{i}.png" for i in range(len(images))]
    if class_folders:
        names = [f"{label}/{name}" for label, name in zip(labels, names)]

    labels_file = output / "label.txt"
    ours = {labels_file, *(output / name for name in names)}
    for path in output.rglob("*"):
        is_systems = path.name.startswith(".") or path.name in SYSTEM_FILES
        if path.is_file() and path not in ours and not is_systems:
            raise ValueError(f"{path}: not from this data, choose an empty --output")

    labels_file.unlink(missing_ok=True)  # it marks a complete folder

    for image, name in zip(images, names):
        path = output / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)

    if labels is not None:
        labels_file.write_text(",".join(map(str, labels)) + "\n")


def main(argv: list[str] | None = None) -> None:
    """Read and check everything, then write the pictures and their labels."""
    raw = Path(__file__).resolve().parent / "data" / "MNIST" / "raw"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "images", nargs="?", type=Path, default=raw / "t10k-images-idx3-ubyte"
    )
    parser.add_argument(
        "labels", nargs="?", type=Path, help="default: the file beside IMAGES, if any"
    )

    parser.add_argument(
        "--output", type=Path, default="test", help="folder, new or empty"
    )
    parser.add_argument(
        "--class-folders", action="store_true", help="write 7/0.png, for ImageFolder"
    )
    args = parser.parse_args(argv)

    try:
        images_path = args.images.absolute()
        images = read_idx(find_file(images_path), ndim=3)

        labels = None
        labels_path = args.labels or find_labels(images_path)
        if labels_path:
            labels = read_idx(find_file(labels_path), ndim=1)
            if len(labels) != len(images):
                raise ValueError(
                    f"{labels_path}: {len(labels)} labels for {len(images)} images"
                )
        elif args.class_folders:
            raise ValueError(f"{images_path}: --class-folders needs a labels file")

        write_pictures(images, labels, args.output, args.class_folders)
    except (OSError, ValueError) as error:
        sys.exit(f"resolve.py: {error}")
    except KeyboardInterrupt:
        sys.exit("resolve.py: stopped, run it again")

    what = "pictures, no labels," if labels is None else "pictures and their labels"
    print(f"Wrote {len(images)} {what} to {args.output}")


if __name__ == "__main__":
    main()
