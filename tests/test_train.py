"""Training: order, seeds, evaluation, saving, and everything a user gets wrong."""

import re
import socket
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from conftest import RAW, idx_bytes, sentence_of
from torchvision.datasets import MNIST

import train
from model import ConvNet

CPU = torch.device("cpu")
RESULT = r"Test Accuracy of the model on the (\d+) test images: (\d+\.\d\d) %"


def weights_of(path):
    return torch.load(path, weights_only=True)


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def train_tiny(data, output, *options):
    arguments = ["--data-dir", data, "--output", output, "--epochs", 1, *options]
    train.main([*map(str, arguments)])
    return weights_of(output)


def test_one_epoch_on_mnist_prints_its_progress_and_reaches_98_8_percent(trained):
    result, weights = trained
    assert (result.returncode, result.stderr) == (0, "")
    *steps, epoch, last = result.stdout.splitlines()
    for i, line in enumerate(steps, start=1):
        step = rf"Epoch \[1/1\], Step \[{i}00/600\], Loss: \d\.\d{{4}}"
        assert re.fullmatch(step, line)
    assert len(steps) == 6
    assert re.fullmatch(r"Epoch \[1/1\]: [\d.]+ s, test accuracy [\d.]+ %", epoch)
    count, accuracy = re.fullmatch(RESULT, last).groups()
    assert count == "10000" and 98.8 <= float(accuracy) < 100
    assert [path.name for path in weights.parent.iterdir()] == ["model.ckpt"]


def test_the_saved_weights_are_plain_cpu_tensors_with_the_printed_accuracy(
    trained, test_set
):
    result, path = trained
    weights = weights_of(path)
    assert all(tensor.device == CPU for tensor in weights.values())
    model = ConvNet().eval()
    model.load_state_dict(weights)
    images = torch.tensor(test_set[0][:, None] / 255, dtype=torch.float32)
    with torch.inference_mode():
        answers = torch.cat([model(batch).argmax(1) for batch in images.split(1000)])
    right = (answers == torch.tensor(test_set[1])).double().mean().item()
    printed = float(re.search(RESULT, result.stdout)[2])
    assert 100 * right == pytest.approx(printed, abs=0.011)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    tiny_data, tmp_path
):
    one, again, other = (
        train_tiny(tiny_data, tmp_path / "model.ckpt", "--seed", seed)
        for seed in (3, 3, 4)
    )
    assert same(one, again) and not same(one, other)


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
    torch.manual_seed(0)
    distorted = train.distort(images)
    plain = train.to_input(images)
    assert distorted.shape == plain.shape and distorted.dtype == torch.float32
    assert 0 <= distorted.min() and distorted.max() <= 1
    assert ((distorted - plain).abs().amax((1, 2, 3)) > 0.1).all()
    places = torch.arange(28.0)
    before, after = (
        (x.sum(2)[:, 0] * places).sum(1) / x.sum((1, 2, 3)) for x in (plain, distorted)
    )
    assert (after - before).abs().max() < 2.5 and (after - before).mean().abs() < 0.1


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


def test_the_original_files_are_read_without_network(
    copied_data, test_set, monkeypatch
):
    monkeypatch.setattr(socket, "socket", None)
    train_set, (images, labels) = train.load_mnist(copied_data, CPU)
    assert train_set[0].shape == (60_000, 28, 28) and train_set[0].dtype == torch.uint8
    assert train_set[1].bincount()[:3].tolist() == [5923, 6742, 5958]
    assert np.array_equal(images, test_set[0]) and np.array_equal(labels, test_set[1])


def test_a_broken_download_is_repaired_by_the_next_run(copied_data, monkeypatch):
    path = copied_data / "MNIST" / "raw" / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:1000])
    handler = partial(SimpleHTTPRequestHandler, directory=RAW)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as mirror:
        threading.Thread(target=mirror.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{mirror.server_port}/"
        monkeypatch.setattr(MNIST, "mirrors", [address])
        _, (_, labels) = train.load_mnist(copied_data, CPU)
        mirror.shutdown()
    assert len(labels) == 10_000


BROKEN = {
    "truncated": ("train-images-idx3", idx_bytes(np.ones((9, 28, 28), np.uint8))[:-1]),
    "empty": ("train-images-idx3", b""),
    "HTML": ("train-labels-idx1", b"<!DOCTYPE html><html>"),
    "other size": ("t10k-images-idx3", idx_bytes(np.ones((100, 32, 32), np.uint8))),
    "int16": ("t10k-images-idx3", b"\0\0\x0b\1\0\0\0\1\0\0"),
    "five labels": ("t10k-labels-idx1", idx_bytes(np.ones(5, np.uint8))),
    "label 10": ("t10k-labels-idx1", idx_bytes(np.full(100, 10, np.uint8))),
}


@pytest.mark.parametrize("how", BROKEN)
def test_broken_data_ends_in_a_sentence_that_names_the_folder(
    how, tiny_data, tmp_path, capsys
):
    name, data = BROKEN[how]
    raw = tiny_data / "MNIST" / "raw"
    (raw / f"{name}-ubyte").write_bytes(data)
    output = tmp_path / "model.ckpt"
    options = ["--data-dir", tiny_data, "--output", output]
    sentence = sentence_of(train.main, *options, capsys=capsys)
    assert sentence.startswith(f"train.py: {raw}: ") and not output.exists()


def test_without_data_and_network_it_says_which_files_belong_where(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(MNIST, "mirrors", [f"{tmp_path.as_uri()}/nothing/"])
    sentence = sentence_of(train.main, "--data-dir", tmp_path, capsys=capsys)
    assert str(tmp_path / "MNIST" / "raw") in sentence
    for part in ("train", "t10k"):
        for kind in ("images-idx3", "labels-idx1"):
            assert f"{part}-{kind}-ubyte.gz" in sentence


def test_files_that_lie_in_the_data_folder_itself_are_not_passed_over(
    tiny_data, capsys
):
    raw = tiny_data / "MNIST" / "raw"
    sentence = sentence_of(train.main, "--data-dir", raw, capsys=capsys)
    assert f"move the files of {raw} there" in sentence and not (raw / "MNIST").exists()


@pytest.mark.parametrize(
    "options",
    [
        ["--epochs", "0"],
        ["--epochs", "1.5"],
        ["--batch-size", "-1"],
        ["--lr", "0"],
        ["--device", "abacus"],
        ["--device", "cuda:99"],
        ["--output", "no/such/folder/model.ckpt"],
        ["--output", "."],
        ["--output", "/dev/null"],
        ["--output", "x" * 300],
        ["--no-such-option"],
    ],
)
def test_a_bad_option_ends_in_a_sentence_before_the_training(options, capsys):
    sentence = sentence_of(train.main, *options, capsys=capsys)
    assert options[0] in sentence or options[-1][:50] in sentence
    assert "Epoch" not in capsys.readouterr().out


@pytest.mark.parametrize("rate", ["1e30", "nan", "inf"])
def test_a_rate_that_diverges_ends_in_a_sentence_and_keeps_old_weights(
    rate, tiny_data, tmp_path, capsys
):
    output = tmp_path / "model.ckpt"
    output.write_bytes(b"old")
    options = ["--data-dir", tiny_data, "--output", output, "--lr", rate]
    assert "--lr" in sentence_of(train.main, *options, capsys=capsys)
    assert output.read_bytes() == b"old"


@pytest.mark.parametrize(
    "error, words",
    [(KeyboardInterrupt(), "stopped"), (OSError("disk full"), "model.ckpt, no space?")],
)
def test_ctrl_c_or_a_full_disk_ends_in_a_sentence_and_keeps_old_weights(
    error, words, tiny_data, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(torch, "save", Mock(side_effect=error))
    output = tmp_path / "model.ckpt"
    output.write_bytes(b"old")
    options = ["--data-dir", tiny_data, "--output", output]
    assert words in sentence_of(train.main, *options, capsys=capsys)
    assert output.read_bytes() == b"old"
