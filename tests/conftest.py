"""What the tests share: the path to the scripts, small MNIST-like data, a runner."""

import gzip
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
    for script in ("model", "train", "resolve", "demo"):
        config.addinivalue_line("filterwarnings", f"error:::{script}")


def idx_bytes(array: np.ndarray) -> bytes:
    """Return a uint8 array in IDX form, written from the format's description."""
    header = bytes([0, 0, 8, array.ndim])
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return header + sizes + array.tobytes()


def write_mnist(data_dir: Path, images: dict, labels: dict) -> None:
    """Write the four files for the keys "train" and "t10k" of both dicts."""
    raw = data_dir / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for split in ("train", "t10k"):
        (raw / f"{split}-images-idx3-ubyte").write_bytes(idx_bytes(images[split]))
        (raw / f"{split}-labels-idx1-ubyte").write_bytes(idx_bytes(labels[split]))


def mnist_arrays(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Read one of the committed sets without the project's own reader."""
    with gzip.open(RAW / f"{split}-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(RAW / f"{split}-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8)
    return images, labels


@pytest.fixture(scope="session")
def test_set() -> tuple[np.ndarray, np.ndarray]:
    """The 10,000 test images (10000, 28, 28) and labels (10000,), both uint8."""
    return mnist_arrays("t10k")


@pytest.fixture
def tiny_data(tmp_path, test_set) -> Path:
    """A data folder with 640 images to train on and 100 to test on."""
    images, labels = test_set
    write_mnist(
        tmp_path / "tiny",
        {"train": images[:640], "t10k": images[640:740]},
        {"train": labels[:640], "t10k": labels[640:740]},
    )
    return tmp_path / "tiny"


def run(*arguments, cwd=ROOT, **options) -> subprocess.CompletedProcess:
    """Run a script of ours as a user would: run("train.py", "--epochs", 1)."""
    script, *rest = map(str, arguments)
    command = [sys.executable, str(ROOT / script), *rest]
    options = {"capture_output": True, "text": True, "timeout": 600, **options}
    return subprocess.run(command, check=False, cwd=cwd, **options)


def imports(script: str, module: str) -> bool:
    """Tell whether importing a script of ours in a new process imports `module`."""
    code = f"import {script}, sys; sys.exit({module!r} in sys.modules)"
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 1


def assert_one_sentence(result: subprocess.CompletedProcess, *words: str) -> None:
    """Check that a run ended in one plain sentence which holds all `words`."""
    assert result.returncode not in (0, None) and result.returncode > 0
    lines = [
        line
        for line in result.stderr.strip().splitlines()
        if not line.startswith(("usage:", " "))  # argparse prints its usage first
    ]
    assert len(lines) == 1, result.stderr
    for word in words:
        assert word in lines[0], lines[0]
