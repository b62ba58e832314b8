"""Training: order, seeds, evaluation, saving, and everything a user gets wrong."""

import os
import re
import signal
import socket
import subprocess
import sys
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from conftest import ROOT, idx_bytes, run, sentence_of
from torchvision.datasets import MNIST, FashionMNIST

import train
from model import ConvNet

CPU = torch.device("cpu")
RESULT = r"Test Accuracy of the model on the (\d+) test images: (\d+\.\d\d) %"


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def train_tiny(data, output, *options):
    arguments = ["--data-dir", data, "--output", output, "--epochs", 1, *options]
    train.main([*map(str, arguments)])
    return torch.load(output, weights_only=True)


def test_one_epoch_on_mnist_prints_its_progress_and_reaches_98_8_percent(trained):
    result, weights = trained
    assert (result.returncode, result.stderr) == (0, "")
    *steps, epoch, last = result.stdout.splitlines()
    forms = [re.sub(r"\d\.\d{4}$", "N", line) for line in steps]
    assert forms == [f"Epoch [1/1], Step [{i}00/600], Loss: N" for i in range(1, 7)]
    assert re.fullmatch(r"Epoch \[1/1\]: [\d.]+ s, test accuracy [\d.]+ %", epoch)
    count, accuracy = re.fullmatch(RESULT, last).groups()
    assert count == "10000" and 98.8 <= float(accuracy) < 100
    assert [path.name for path in weights.parent.iterdir()] == ["model.ckpt"]


def test_the_saved_weights_are_cpu_tensors_with_the_printed_accuracy(trained, test_set):
    result, path = trained
    weights = torch.load(path, weights_only=True)
    assert all(tensor.device == CPU for tensor in weights.values())
    model = ConvNet()
    model.load_state_dict(weights)
    accuracy = train.evaluate(model, *map(torch.tensor, test_set))
    printed = float(re.search(RESULT, result.stdout)[2])
    assert accuracy == pytest.approx(printed, abs=0.011)


def test_the_same_seed_gives_the_same_weights_another_seed_others(tiny_data, tmp_path):
    output = tmp_path / "model.ckpt"
    one, again, other = (train_tiny(tiny_data, output, "--seed", n) for n in (3, 3, 4))
    assert same(one, again) and not same(one, other)


def test_a_single_epoch_trains_the_first_layer_as_well(tiny_data, tmp_path):
    torch.manual_seed(0)
    before = ConvNet().state_dict()
    after = train_tiny(tiny_data, tmp_path / "model.ckpt")
    assert not torch.equal(before["layer1.0.weight"], after["layer1.0.weight"])


def test_every_image_is_seen_once_an_epoch_and_in_a_new_order(monkeypatch):
    """Image i is filled with i, so that what reaches the network tells its index."""
    seen = []

    class Recorder(ConvNet):
        def forward(self, images):
            if self.training:
                seen.extend((images[:, 0, 0, 0] * 255).round().int().tolist())
            return super().forward(images)

    monkeypatch.setattr(train, "ConvNet", Recorder)
    monkeypatch.setattr(train, "distort", train.to_input)
    images = torch.arange(103, dtype=torch.uint8).view(-1, 1, 1).expand(-1, 28, 28)
    data = images, torch.arange(103) % 10
    train.train(data, data, epochs=2, batch_size=10, lr=0.001)
    first, second = seen[:103], seen[103:]
    assert sorted(first) == sorted(second) == list(range(103))
    assert first != second and first != list(range(103))


def test_distort_moves_the_ink_a_little_and_in_no_preferred_direction(test_set):
    images = torch.tensor(test_set[0][:500])
    plain, distorted = train.to_input(images), train.distort(images)
    assert distorted.shape == plain.shape and distorted.dtype == torch.float32
    assert 0 <= distorted.min() and distorted.max() <= 1
    assert ((distorted - plain).abs().amax((1, 2, 3)) > 0.1).all()
    for axis in (2, 3):  # the centre of the ink before and after, in pixels
        before, after = (
            (x.sum(axis).squeeze() @ torch.arange(28.0)) / x.sum((1, 2, 3))
            for x in (plain, distorted)
        )
        assert (after - before).abs().max() < 2.5
        assert (after - before).mean().abs() < 0.15


def test_evaluate_counts_every_image_and_changes_nothing(test_set):
    images, labels = (torch.tensor(array[:1234]) for array in test_set)
    torch.manual_seed(0)
    model = ConvNet().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    accuracy = train.evaluate(model, images, labels)
    assert same(before, model.state_dict())
    model.eval()
    alone = [model(image[None, None] / 255).argmax().item() for image in images]
    assert accuracy == 100 * np.mean(np.array(alone) == labels.numpy())


def test_the_original_files_need_no_network(copied_data, test_set, monkeypatch):
    monkeypatch.setattr(socket, "socket", None)
    train_set, (images, labels) = train.load_mnist(copied_data, CPU)
    assert train_set[0].shape == (60_000, 28, 28) and train_set[0].dtype == torch.uint8
    assert train_set[1].bincount()[:3].tolist() == [5923, 6742, 5958]
    assert np.array_equal(images, test_set[0]) and np.array_equal(labels, test_set[1])


BROKEN = {
    "truncated": ("train-images-idx3", idx_bytes(np.ones((9, 28, 28), np.uint8))[:-1]),
    "empty": ("train-images-idx3", b""),
    "HTML": ("train-labels-idx1", b"<!DOCTYPE html><html>"),
    "other size": ("t10k-images-idx3", idx_bytes(np.ones((100, 32, 32), np.uint8))),
    "int16": ("t10k-images-idx3", b"\0\0\x0b\1\0\0\0\1\0\0"),
    "no type": ("t10k-images-idx3", b"\0\0\x0a\1\0\0\0\1\0\0"),
    "five labels": ("t10k-labels-idx1", idx_bytes(np.ones(5, np.uint8))),
    "label 10": ("t10k-labels-idx1", idx_bytes(np.full(100, 10, np.uint8))),
}


@pytest.mark.parametrize("how", BROKEN)
def test_broken_data_ends_in_a_sentence_that_names_the_folder(how, tiny_data, capsys):
    name, data = BROKEN[how]
    raw = tiny_data / "MNIST" / "raw"
    (raw / f"{name}-ubyte").write_bytes(data)
    sentence = sentence_of(train.main, "--data-dir", tiny_data, capsys=capsys)
    assert sentence.startswith(f"train.py: {raw}: ")


@pytest.mark.parametrize("data_set", [MNIST, FashionMNIST])
def test_without_data_and_network_it_says_which_files_belong_where(
    data_set, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(data_set, "mirrors", [f"{tmp_path.as_uri()}/nothing/"])
    monkeypatch.setattr(train, "MNIST", data_set)
    sentence = sentence_of(train.main, "--data-dir", tmp_path, capsys=capsys)
    assert str(tmp_path / data_set.__name__ / "raw") in sentence
    for part in ("train", "t10k"):
        for kind in ("images-idx3", "labels-idx1"):
            assert f"{part}-{kind}-ubyte.gz" in sentence


def test_without_write_permission_it_says_so(tmp_path, monkeypatch, capsys):
    denied = PermissionError(13, "Permission denied")
    monkeypatch.setattr(os, "makedirs", Mock(side_effect=denied))
    sentence = sentence_of(train.main, "--data-dir", tmp_path, capsys=capsys)
    assert "Permission denied" in sentence and "writable" in sentence


def test_files_in_the_data_folder_itself_are_not_ignored(tiny_data, capsys):
    raw = tiny_data / "MNIST" / "raw"
    sentence = sentence_of(train.main, "--data-dir", raw, capsys=capsys)
    assert f"{raw}: --data-dir is the folder that contains MNIST/raw" in sentence
    assert not (raw / "MNIST").exists()


SLIPS = {  # what a reader replaces by what, and what he reads then
    "model.py": ("(32 * 7 * 7", "(16 * 7 * 7", "mat1 and mat2 shapes cannot be"),
    "train.py": ("inputs = to", "rows, columns = images.shape; to", "too many values"),
}


@pytest.mark.parametrize("edited", SLIPS)
def test_a_mistake_in_the_code_keeps_its_traceback(edited, tiny_data, tmp_path):
    old, new, words = SLIPS[edited]
    for script in ("train.py", "model.py"):
        text = (ROOT / script).read_text()
        (tmp_path / script).write_text(text.replace(old, new))
    result = run(tmp_path / "train.py", "--data-dir", tiny_data, cwd=tmp_path)
    assert result.returncode == 1 and words in result.stderr
    assert re.search(rf'(?s)^Traceback.*{edited}", line \d+', result.stderr)


BAD_OPTIONS = """--epochs 0, --epochs 1.5, --batch-size -1, --lr 0, --lr nan, --lr inf,
--seed 99999999999999999999, --device abacus, --device cuda:99, --output .,
--output no/such/folder/x.ckpt, --output README.md/x, --output /dev/null, --no-option"""


@pytest.mark.parametrize("text", [*BAD_OPTIONS.split(","), "--output " + "x" * 300])
def test_a_bad_option_ends_in_a_sentence_before_the_training(text, monkeypatch, capsys):
    monkeypatch.setattr(train, "train", None)
    option, *value = text.split()
    sentence = sentence_of(train.main, option, *value, capsys=capsys)
    assert option in sentence or value[0][:50] in sentence


@pytest.fixture
def options(tiny_data, tmp_path):
    """Options for a short training; what it may overwrite is there already."""
    (tmp_path / "model.ckpt").write_bytes(b"old")
    return ["--data-dir", tiny_data, "--output", tmp_path / "model.ckpt"]


def test_a_rate_that_diverges_ends_in_a_sentence_and_keeps_old_weights(options, capsys):
    sentence = sentence_of(train.main, *options, "--lr", "1e30", capsys=capsys)
    assert "diverged" in sentence and options[-1].read_bytes() == b"old"


@pytest.mark.parametrize("error", [OSError("no space"), RuntimeError("writing failed")])
def test_a_full_disk_ends_in_a_sentence_and_keeps_old_weights(
    error, options, monkeypatch, capsys
):
    monkeypatch.setattr(torch, "save", Mock(side_effect=error))
    sentence = sentence_of(train.main, *options, capsys=capsys)
    assert str(options[-1]) in sentence and str(error) in sentence
    assert options[-1].read_bytes() == b"old"


def test_ctrl_c_ends_in_a_sentence_and_keeps_old_weights(options):
    command = [sys.executable, ROOT / "train.py", *options, "--epochs", "999"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        assert process.stdout.readline().startswith("Epoch [1/999]")
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert error == "train.py: stopped, no weights were saved\n"
    assert options[-1].read_bytes() == b"old"
