"""Training: order, seeds, evaluation, saving, and everything a user can get wrong."""

import gzip
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import RAW, ROOT, assert_one_sentence, idx_bytes, run, write_mnist
from PIL import Image
from torch.nn import functional as F

import train
from model import ConvNet

PROGRESS = re.compile(r"Epoch \[1/1\], Step \[(\d+)/(\d+)\], Loss: \d+\.\d{4}")
EPOCH = re.compile(r"Epoch \[(\d)/(\d)\]: \d+\.\d s, test accuracy \d+\.\d\d %")
RESULT = r"Test Accuracy of the model on the (\d+) test images: (\d+\.\d\d) %"


def weights_of(path):
    return torch.load(path, weights_only=True)


def same_weights(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_a_tiny_run_prints_trains_and_saves(tiny_data, tmp_path, capsys):
    output = tmp_path / "model.ckpt"
    options = ["--data-dir", tiny_data, "--epochs", 2, "--batch-size", 5]
    train.main([*map(str, options), "--output", str(output)])
    lines = capsys.readouterr().out.splitlines()
    assert sum(bool(EPOCH.fullmatch(line)) for line in lines) == 2
    assert "Epoch [2/2], Step [100/128], Loss: " in "\n".join(lines)
    count, accuracy = re.fullmatch(RESULT, lines[-1]).groups()
    assert count == "100" and 50 < float(accuracy) < 100
    ConvNet().load_state_dict(weights_of(output))
    assert all(t.device.type == "cpu" for t in weights_of(output).values())


def test_every_image_is_seen_once_an_epoch_and_in_a_new_order(monkeypatch):
    """Image i is filled with i, so that what reaches `distort` tells its index."""
    seen = []
    monkeypatch.setattr(train, "distort", lambda x: seen.append(x[:, 0, 0, 0]) or x)
    images = torch.arange(103, dtype=torch.uint8).view(-1, 1, 1).expand(-1, 28, 28)
    labels = torch.arange(103) % 10
    data = (images, labels)
    train.train(data, data, 2, 10, 0.001)
    assert [len(batch) for batch in seen] == 2 * (10 * [10] + [3])
    order = (torch.cat(seen) * 255).round().int().tolist()
    assert sorted(order[:103]) == sorted(order[103:]) == list(range(103))
    assert order[:103] != order[103:] and order[:103] != list(range(103))


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    tiny_data, tmp_path
):
    weights = []
    for seed in (3, 3, 4):
        output = tmp_path / "seed.ckpt"
        options = ["--data-dir", tiny_data, "--epochs", 1, "--seed", seed]
        train.main([*map(str, options), "--output", str(output)])
        weights.append(weights_of(output))
    assert same_weights(weights[0], weights[1])
    assert not same_weights(weights[0], weights[2])


def test_the_order_comes_from_the_seed_too(monkeypatch):
    orders = []
    for seed in (1, 1, 2):
        seen = []
        monkeypatch.setattr(
            train, "distort", lambda x, s=seen: s.append(x[:, 0, 0, 0]) or x
        )
        images = torch.arange(50, dtype=torch.uint8).view(-1, 1, 1).expand(-1, 28, 28)
        data = (images, torch.arange(50) % 10)
        torch.manual_seed(seed)
        train.train(data, data, 1, 10, 0.001)
        orders.append(torch.cat(seen).tolist())
    assert orders[0] == orders[1] != orders[2]


def test_predict_answers_for_every_image_and_changes_nothing(test_set):
    images = torch.from_numpy(test_set[0][:1234].copy())
    model = ConvNet().train()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    answers = train.predict(model, images).clone()
    assert answers.shape == (1234,) and answers.dtype == torch.int64
    model.eval()
    alone = [model(image[None, None] / 255).argmax().item() for image in images]
    assert answers.tolist() == alone  # also the last ones, of a short batch
    assert same_weights(before, model.state_dict())


def test_percentage_counts_each_answer():
    right = torch.ones(1234, dtype=torch.bool)
    assert train.percentage(right) == 100
    right[-1] = False
    assert train.percentage(right) == pytest.approx(100 * 1233 / 1234)


def test_common_patterns_are_the_principal_components_of_5x5_pixels(test_set):
    images = test_set[0][:50]
    patterns = train.common_patterns(torch.from_numpy(images.copy()))
    assert patterns.shape == (16, 1, 5, 5) and patterns.dtype == torch.float32
    windows = np.lib.stride_tricks.sliding_window_view(images / 255, (5, 5), (1, 2))
    vectors = np.linalg.eigh(np.cov(windows.reshape(-1, 25).T)).eigenvectors
    overlap = patterns[:8].reshape(8, 25).numpy() @ vectors[:, -8:]
    assert np.allclose(abs(overlap), np.eye(8), atol=1e-3)  # of either sign
    assert torch.equal(patterns[8:], -patterns[:8])


def test_distort_samples_where_affine_grid_says():
    images = torch.rand(7, 1, 28, 28)
    torch.manual_seed(5)
    distorted = train.distort(images)
    torch.manual_seed(5)
    scale = torch.tensor([0.1, 0.1, 1 / 14])
    affine = torch.eye(2, 3) + torch.empty(7, 2, 3).uniform_(-1, 1) * scale
    grid = F.affine_grid(affine, images.shape, align_corners=False)
    expected = F.grid_sample(images, grid, align_corners=False)
    assert torch.allclose(distorted, expected, atol=1e-5)


def test_the_layers_stop_learning_one_after_the_other(monkeypatch, test_set):
    models, seen = [], []

    class Recorded(ConvNet):
        def __init__(self):
            super().__init__()
            models.append(self)

    def record(images):
        seen.append({name: p.clone() for name, p in models[0].named_parameters()})
        return images

    monkeypatch.setattr(train, "ConvNet", Recorded)
    monkeypatch.setattr(train, "distort", record)
    data = tuple(torch.tensor(array[:500]) for array in test_set)
    train.train(data, data, 2, 10, 0.001)  # 100 steps
    assert torch.equal(seen[0]["layer1.0.weight"], train.common_patterns(data[0]))
    for name in ("layer1.0.weight", "layer1.1.bias", "layer2.0.weight", "fc.bias"):
        moved = [not torch.equal(a[name], b[name]) for a, b in pairwise(seen)]
        until = {"layer1": 16, "layer2": 76}.get(name.split(".")[0], 99)
        assert moved == until * [True] + (99 - until) * [False]
    # The averages of batch normalisation belong to what a layer has learned.
    counts = {n: b for n, b in models[0].named_buffers() if n.endswith("tracked")}
    assert counts == {
        "layer1.1.num_batches_tracked": 16,
        "layer2.1.num_batches_tracked": 76,
    }


def test_predict_uses_the_running_statistics_not_those_of_the_batch(test_set):
    images = torch.from_numpy(test_set[0][:600].copy())
    torch.manual_seed(1)
    model = ConvNet()
    together = train.predict(model, images)
    alone = torch.cat([train.predict(model, image[None]) for image in images])
    assert torch.equal(together, alone)


def test_distort_keeps_the_shape_and_moves_ink_by_little(test_set):
    images = torch.from_numpy(test_set[0][:500].copy()).unsqueeze(1) / 255
    torch.manual_seed(0)
    distorted = train.distort(images)
    assert distorted.shape == images.shape and distorted.dtype == torch.float32
    assert distorted.min() >= 0 and distorted.max() <= 1
    changed = (distorted - images).abs().amax(dim=(1, 2, 3))
    assert (changed > 0.1).all()  # each image is another one now
    columns = torch.arange(28.0)
    centres = [
        (x.sum(2)[:, 0] * columns).sum(1) / x.sum((1, 2, 3))
        for x in (images, distorted)
    ]
    assert (centres[0] - centres[1]).abs().max() < 2.5
    assert (centres[0] - centres[1]).mean().abs() < 0.1  # no preferred direction


def test_one_epoch_on_mnist_reaches_98_8_percent(tmp_path):
    output = tmp_path / "new folder 数字.ckpt"
    result = run("train.py", "--epochs", 1, "--output", output, cwd=ROOT)
    assert result.returncode == 0 and result.stderr == ""
    lines = result.stdout.splitlines()
    steps = [PROGRESS.fullmatch(line) for line in lines[:-2]]
    assert [int(m[1]) for m in steps] == list(range(100, int(steps[0][2]) + 1, 100))
    assert EPOCH.fullmatch(lines[-2])
    count, accuracy = re.fullmatch(RESULT, lines[-1]).groups()
    assert count == "10000" and 98.8 <= float(accuracy) < 100
    assert weights_of(output)["fc.weight"].shape == (10, 1568)
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {output.name, "mistakes.png"}
    assert Image.open(tmp_path / "mistakes.png").size == (640, 800)


def test_torchvision_accepts_the_committed_files_without_a_network(
    tmp_path, monkeypatch
):
    from torchvision.datasets import MNIST

    def no_network(*args, **kwargs):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket, "socket", no_network)
    shutil.copytree(RAW, tmp_path / "MNIST" / "raw")
    torchvision_set = MNIST(tmp_path, train=True, download=True)
    (images, labels), _ = train.load_mnist(tmp_path)
    assert torch.equal(images, torchvision_set.data)
    assert torch.equal(labels, torchvision_set.targets)


def break_data(data_dir, how):
    """Break one of the four files; return its name."""
    raw = data_dir / "MNIST" / "raw"
    path = raw / "train-images-idx3-ubyte"
    good = path.read_bytes()
    if how == "missing":
        path.unlink()
    elif how == "truncated":
        path.write_bytes(good[:-1])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "HTML":
        path.write_bytes(b"<!DOCTYPE html><html><body>404</body></html>")
    elif how == "folder":
        path.unlink()
        path.mkdir()
    elif how == "other size":
        path.write_bytes(idx_bytes(np.zeros((640, 32, 32), np.uint8)))
    elif how == "broken gzip":
        path.unlink()
        path = path.with_name(path.name + ".gz")
        path.write_bytes(gzip.compress(good)[:-20])
    elif how == "labels for images":
        path.write_bytes((raw / "train-labels-idx1-ubyte").read_bytes())
    elif how == "five labels":
        path = raw / "t10k-labels-idx1-ubyte"
        path.write_bytes(idx_bytes(np.zeros(5, np.uint8)))
    elif how == "label 10":
        path = raw / "t10k-labels-idx1-ubyte"
        path.write_bytes(idx_bytes(np.full(100, 10, np.uint8)))
    return path.name


@pytest.mark.parametrize(
    "how",
    [
        "missing",
        "truncated",
        "empty",
        "HTML",
        "folder",
        "other size",
        "broken gzip",
        "labels for images",
        "five labels",
        "label 10",
    ],
)
def test_broken_data_ends_in_a_sentence_that_names_the_file(
    how, tiny_data, tmp_path, capsys
):
    name = break_data(tiny_data, how)
    output = tmp_path / "model.ckpt"
    with pytest.raises(SystemExit) as stop:
        train.main(["--data-dir", str(tiny_data), "--output", str(output)])
    message = stop.value.code
    assert message.startswith("train.py: ") and name in message and "\n" not in message
    assert not output.exists()


def test_without_data_and_network_it_names_the_four_files_and_their_folder(
    tmp_path, monkeypatch
):
    def no_network(*args, **kwargs):
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    with pytest.raises(SystemExit) as stop:
        train.main(["--data-dir", str(tmp_path), "--output", str(tmp_path / "m")])
    for part in ("train", "t10k"):
        for kind in ("images-idx3", "labels-idx1"):
            assert f"{part}-{kind}-ubyte.gz" in stop.value.code
    assert str(tmp_path / "MNIST" / "raw") in stop.value.code


@pytest.mark.parametrize(
    "options",
    [
        ["--epochs", "0"],
        ["--epochs", "two"],
        ["--epochs", "1.5"],
        ["--batch-size", "-1"],
        ["--batch-size", "99999999999"],
        ["--lr", "0"],
        ["--lr", "nan"],
        ["--lr", "inf"],
        ["--seed", "-1"],
        ["--seed", "99999999999999999999"],
        ["--device", "cuda:99"],
        ["--device", "abacus"],
        ["--output", "no/such/folder/model.ckpt"],
        ["--output", "."],
        ["--output", "/dev/null"],
        ["--output", "x" * 300],
        ["--no-such-option"],
        ["too much"],
    ],
)
def test_a_bad_option_ends_in_a_sentence_before_the_training(options, capsys):
    with pytest.raises(SystemExit) as stop:
        train.main(options)
    assert stop.value.code not in (0, None)
    stderr = capsys.readouterr().err
    sentence = stop.value.code if isinstance(stop.value.code, str) else stderr
    assert options[-1][:50] in sentence.splitlines()[-1]


def test_a_learning_rate_that_diverges_ends_in_a_sentence(tiny_data, tmp_path):
    output = tmp_path / "model.ckpt"
    with pytest.raises(SystemExit, match="--lr"):
        train.main(
            ["--data-dir", str(tiny_data), "--lr", "1e30", "--output", str(output)]
        )
    assert not output.exists()


def test_a_failure_while_saving_keeps_the_old_file_and_leaves_nothing_else(
    tmp_path, monkeypatch
):
    output = tmp_path / "model.ckpt"
    output.write_bytes(b"old")

    def disk_full(path, data):
        with open(path, "wb") as file:
            file.write(data[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", disk_full)
    with pytest.raises(OSError, match="No space"):
        train.save_weights(ConvNet(), output)
    assert output.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for a child")
def test_ctrl_c_ends_with_a_sentence_and_keeps_the_old_weights(tmp_path):
    output = tmp_path / "model.ckpt"
    output.write_bytes(b"old")
    process = subprocess.Popen(
        [sys.executable, "train.py", "--output", str(output)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job, as CI may be one, has SIGINT ignored by inheritance.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    process.stdout.readline()  # it trains
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    result = subprocess.CompletedProcess("", process.returncode, "", stderr)
    assert_one_sentence(result, "stopped", str(output))
    assert output.read_bytes() == b"old" and list(tmp_path.iterdir()) == [output]


def test_bfloat16_autocast_is_used_only_where_the_processor_has_it(monkeypatch):
    from model import has_fast_bfloat16

    cpu = torch.device("cpu")
    capabilities = {"avx2": True, "avx512_bf16": False, "amx_bf16": False}
    monkeypatch.setattr(
        torch.cpu, "get_capabilities", lambda: capabilities, raising=False
    )
    assert not has_fast_bfloat16(cpu)
    capabilities["avx512_bf16"] = True
    assert has_fast_bfloat16(cpu)
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert not has_fast_bfloat16(cpu)


def test_an_unpacked_file_is_preferred_like_torchvision_does(tmp_path, test_set):
    images, labels = test_set
    both = {"train": images[:20], "t10k": images[20:30]}
    write_mnist(tmp_path, both, {"train": labels[:20], "t10k": labels[20:30]})
    packed = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte.gz"
    packed.write_bytes(gzip.compress(b"not this one"))
    (loaded, _), _ = train.load_mnist(tmp_path)
    assert np.array_equal(loaded.numpy(), images[:20])
