"""What the tests share: small data of MNIST's form, a trained network, a runner."""

import gzip
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
RAW = ROOT / "data" / "MNIST" / "raw"
sys.path.insert(0, str(ROOT))


def pytest_configure(config):
    """Warnings that our own files cause are errors."""
    for script in ("model", "train", "resolve", "demo", "prepare", "draw"):
        config.addinivalue_line("filterwarnings", f"error:::{script}")


def idx_bytes(array: np.ndarray) -> bytes:
    """Return a uint8 array in IDX form, written from the format's description."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def run(*arguments, cwd=ROOT) -> subprocess.CompletedProcess:
    """Run a script of ours as a user would: run("train.py", "--epochs", 1)."""
    script, *rest = map(str, arguments)
    command = [sys.executable, str(ROOT / script), *rest]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


def sentence_of(main, *arguments, capsys) -> str:
    """Call the main of a script; return the one sentence in which it must end."""
    with pytest.raises(SystemExit) as stop:
        main([*map(str, arguments)])
    assert stop.value.code not in (0, None)
    text = capsys.readouterr().err if stop.value.code == 2 else stop.value.code
    *usage, sentence = text.strip().splitlines()
    assert all(line.startswith(("usage:", " ")) for line in usage), text
    return sentence


@pytest.fixture(scope="session")
def test_set() -> tuple[np.ndarray, np.ndarray]:
    """The 10,000 test images (N, 28, 28) and labels (N,), uint8, not by our reader."""
    images = gzip.decompress((RAW / "t10k-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((RAW / "t10k-labels-idx1-ubyte.gz").read_bytes())
    images = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28)
    return images, np.frombuffer(labels, np.uint8, offset=8)


@pytest.fixture
def tiny_data(tmp_path, test_set) -> Path:
    """A folder like data, with 640 images to train on and 100 to test on."""
    raw = tmp_path / "data" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, chosen in (("train", slice(640)), ("t10k", slice(640, 740))):
        images, labels = (array[chosen] for array in test_set)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(idx_bytes(images))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    return tmp_path / "data"


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> tuple[subprocess.CompletedProcess, Path]:
    """One real epoch, in a folder of its own: what it printed, and the weights."""
    folder = tmp_path_factory.mktemp("trained 数字")
    return run("train.py", "--epochs", 1, cwd=folder), folder / "model.ckpt"


@pytest.fixture
def copied_data(tmp_path) -> Path:
    """A folder like data, with the four original files alone, as in a fresh clone."""
    raw = tmp_path / "copied" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for path in RAW.glob("*.gz"):
        shutil.copy(path, raw)
    return tmp_path / "copied"
