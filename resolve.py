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
from pathlib import Path

import numpy as np
from PIL import Image

RAW = Path(__file__).resolve().parent / "data" / "MNIST" / "raw"
IMAGES = RAW / "t10k-images-idx3-ubyte.gz"


def read_idx(path: Path, ndim: int) -> np.ndarray:
    """Return the uint8 array in an IDX file, plain or gzipped.

    Raises ValueError if its data is not uint8, or does not have `ndim` dimensions.
    """
    data = path.read_bytes()
    if data.startswith(b"\x1f\x8b"):  # as every gzip file does
        data = gzip.decompress(data)

    if data[:4] != bytes([0, 0, 8, ndim]):
        raise ValueError(
            f"{path} begins with {data[:4].hex(' ')}, expected 00 00 08 0{ndim}: "
            "a file of images begins with 00 00 08 03, one of labels with 00 00 08 01"
        )
    shape = np.frombuffer(data, ">u4", count=ndim, offset=4)  # > is big-endian
    return np.frombuffer(data, np.uint8, offset=4 + 4 * ndim).reshape(shape)


def find_labels(images_path: Path) -> Path | None:
    """Return the file of labels, plain or gzipped, beside a file of images, or None."""
    images_name = images_path.name.removesuffix(".gz")
    name = images_name.replace("images", "labels").replace("idx3", "idx1")
    if name == images_name:
        return None

    for path in (images_path.with_name(name), images_path.with_name(f"{name}.gz")):
        if path.is_file():
            return path
    return None


def main(argv: list[str] | None = None) -> None:
    """Read the images and their labels, then write the pictures."""
    parser = argparse.ArgumentParser(
        description="Turn an IDX file into the pictures that it holds.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("images", nargs="?", type=Path, default=IMAGES, help="to read")
    parser.add_argument(
        "labels", nargs="?", type=Path, help="to read; if None, those beside IMAGES"
    )
    parser.add_argument("--output", type=Path, default="test", help="a new folder")
    parser.add_argument(
        "--class-folders", action="store_true", help="write 7/0.png, for ImageFolder"
    )
    args = parser.parse_args(argv)

    images = read_idx(args.images, ndim=3)
    labels_path = args.labels or find_labels(args.images)
    labels = read_idx(labels_path, ndim=1) if labels_path else None

    if labels is None and args.class_folders:
        sys.exit("resolve.py: --class-folders needs a file of labels")
    if labels is not None and len(labels) != len(images):
        sys.exit(f"resolve.py: {len(labels)} labels for {len(images)} images")

    if args.output.exists() and any(args.output.iterdir()):
        sys.exit(
            f"resolve.py: {args.output} is not empty, delete it or choose another "
            "--output"
        )
    args.output.mkdir(parents=True, exist_ok=True)

    for i, image in enumerate(images):
        folder = args.output / str(labels[i]) if args.class_folders else args.output
        folder.mkdir(exist_ok=True)
        Image.fromarray(image).save(folder / f"{i}.png")
    print(f"Wrote {len(images)} pictures to {args.output}")

    if labels is not None:
        label_file = args.output / "label.txt"
        label_file.write_text(",".join(map(str, labels)) + "\n")
        print(f"Wrote their labels to {label_file}")


if __name__ == "__main__":
    main()
