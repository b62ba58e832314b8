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
import glob
import gzip
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image


def find_file(path: Path) -> Path:
    """Return the file of that name, with or without .gz, or in a folder of its name."""
    name = glob.escape(path.name.removesuffix(".gz"))
    name = name.replace("-idx", ".idx").replace(".idx", "[-.]idx")  # 7-Zip writes .idx
    patterns = name, f"{name}.gz", f"{name}/{name}"
    found = [path, *(file for p in patterns for file in path.parent.glob(p))]
    return next((file for file in found if file.is_file()), path)


def find_labels(path: Path) -> Path | None:
    """Return the labels beside the images of `path`, or beside their own folder."""
    name = path.name.replace("images", "labels").replace("idx3", "idx1")
    found = [find_file(folder / name) for folder in (path.parent, path.parent.parent)]
    return next((file for file in found if file.is_file() and name != path.name), None)


def read_idx(path: Path, ndim: int) -> np.ndarray:
    """Return the uint8 array of an IDX file, plain or gzip; OSError or ValueError."""
    data = path.read_bytes()
    try:
        data = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
        # > big-endian, H two bytes, B one byte, I four bytes
        zeros, kind, dimensions, *shape = struct.unpack_from(f">HBB{ndim}I", data)
        if (zeros, kind, dimensions) != (0, 8, ndim) or 0 in shape:
            raise ValueError(f"it begins with {data[:16].hex(' ')}")
        return np.frombuffer(data, np.uint8, offset=4 + 4 * ndim).reshape(shape)
    except (OSError, EOFError, zlib.error, struct.error, ValueError) as error:
        wanted = f"{path}: expected an IDX file, 00 00 08 0{ndim} ..., plain or gzip"
        raise ValueError(f"{wanted} ({error}); unpack zip, bz2 or xz first") from error


def write_pictures(
    images: np.ndarray, labels: np.ndarray | None, output: Path, class_folders: bool
) -> None:
    """Write images (N, H, W), then labels (N,), into a folder of their own."""
    folders = [f"{label}/" for label in labels] if class_folders else [""] * len(images)
    names = [f"{folder}{i}.png" for i, folder in enumerate(folders)]
    files = {p.relative_to(output).as_posix() for p in output.rglob("*") if p.is_file()}
    if files - {*names, "label.txt"}:
        raise ValueError(f"{output}: holds other files, choose an empty --output")
    for folder in {*folders}:
        Path(output, folder).mkdir(parents=True, exist_ok=True)
    Path(output, "label.txt").unlink(missing_ok=True)  # written last: all is complete
    for i, (image, name) in enumerate(zip(images, names)):
        Image.fromarray(image).save(output / name)
        if i % 1000 == 0 and sys.stderr.isatty():
            print(f"{i} of {len(images)} pictures", end="\r", file=sys.stderr)
    if labels is not None:
        Path(output, "label.txt").write_text(",".join(map(str, labels)) + "\n")


def main(argv: list[str] | None = None) -> None:
    """Read and check everything, then write the pictures and their labels."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    raw, add = Path(__file__).resolve().parent / "data/MNIST/raw", parser.add_argument
    add("images", nargs="?", type=Path, default=raw / "t10k-images-idx3-ubyte")
    add("labels", nargs="?", type=Path, help="default: the file beside IMAGES, if any")
    add("--output", type=Path, default="test", help="folder, new or empty")
    add("--class-folders", action="store_true", help="write 7/0.png, for ImageFolder")
    args = parser.parse_args(argv)
    try:
        images_path = args.images.resolve()
        images, labels = read_idx(find_file(images_path), ndim=3), None
        if path := args.labels or find_labels(images_path):
            labels = read_idx(find_file(path.resolve()), ndim=1)
            if len(labels) != len(images):
                raise ValueError(f"{path}: {len(labels)} labels, {len(images)} images")
        elif args.class_folders:
            raise ValueError(f"{images_path}: --class-folders needs a labels file")
        write_pictures(images, labels, args.output, args.class_folders)
    except (OSError, ValueError, KeyboardInterrupt) as error:
        sys.exit(f"resolve.py: {str(error) or 'stopped, run it again'}")
    what = "pictures, no labels," if labels is None else "pictures and their labels"
    print(f"Wrote {len(images)} {what} to {args.output}")


if __name__ == "__main__":
    main()
