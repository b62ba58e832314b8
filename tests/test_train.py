"""train.py: what it prints and saves, what every epoch does, what stays loud."""

import inspect
import math
import re
import shutil
import socket
from itertools import pairwise
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from conftest import ROOT, run, sentence_of

import train
from model import ConvNet

CPU = torch.device("cpu")
RESULT = r"Test Accuracy of the model on the (\d+) test images: (\d+\.\d\d) %"
EPOCH = r"Epoch \[1/1\]: \d+\.\d s, test accuracy \d+\.\d\d %"


def copy_of(state):
    return {name: tensor.clone() for name, tensor in state.items()}


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def train_tiny(tiny_data, tmp_path, monkeypatch):
    """Call train.py's main on few images, for one epoch; return what it saved."""
    monkeypatch.setattr(train, "DATA", tiny_data)

    def call(*options, output=tmp_path / "model.ckpt"):
        arguments = ["--device", "cpu", "--epochs", 1, "--output", output, *options]
        train.main([*map(str, arguments)])
        return torch.load(output, weights_only=True)

    return call


@pytest.fixture
def states(monkeypatch):
    """The network's state before the training, then after every epoch."""
    states, evaluate = [], train.evaluate

    class Recorder(ConvNet):
        def __init__(self):
            super().__init__()
            states.append(copy_of(self.state_dict()))

    def recording_evaluate(model, images, labels):
        states.append(copy_of(model.state_dict()))
        return evaluate(model, images, labels)

    monkeypatch.setattr(train, "ConvNet", Recorder)
    monkeypatch.setattr(train, "evaluate", recording_evaluate)
    return states


def test_one_epoch_on_mnist_prints_its_progress_and_reaches_98_8_percent(trained):
    result, weights = trained
    assert (result.returncode, result.stderr) == (0, "")
    *steps, epoch, saved, last = result.stdout.splitlines()
    forms = [re.sub(r"\d\.\d{4}$", "N", line) for line in steps]
    assert forms == [f"Epoch [1/1], Step [{i}00/600], Loss: N" for i in range(1, 7)]
    assert re.fullmatch(EPOCH, epoch) and saved == "Saved the weights to model.ckpt"
    count, accuracy = re.fullmatch(RESULT, last).groups()
    assert count == "10000" and 98.8 <= float(accuracy) < 100
    assert [path.name for path in weights.parent.iterdir()] == ["model.ckpt"]


def test_the_loss_approaches_the_least_that_its_label_smoothing_allows(trained):
    """Of 3%, each of ten classes gets a tenth: even a perfect answer costs 0.183."""
    losses = [float(loss) for loss in re.findall(r"Loss: (.*)", trained[0].stdout)]
    right, wrong = 0.973, 0.003
    least = -right * math.log(right) - 9 * wrong * math.log(wrong)
    assert least < min(losses) < least + 0.15 and losses[0] > losses[-1]


def test_the_saved_weights_have_the_printed_accuracy(trained, test_set):
    result, path = trained
    model = ConvNet()
    model.load_state_dict(torch.load(path, weights_only=True))
    accuracy = train.evaluate(model, *map(torch.tensor, test_set))
    printed = float(re.search(RESULT, result.stdout)[2])
    assert accuracy == pytest.approx(printed, abs=0.011)


def test_the_saved_weights_are_on_the_cpu_in_the_usual_memory_order(trained):
    for tensor in torch.load(trained[1], weights_only=True).values():
        assert tensor.device == CPU and tensor.is_contiguous()


def test_it_prints_a_line_every_100_steps_and_one_every_epoch(
    train_tiny, tmp_path, capsys
):
    train_tiny("--epochs", 2, "--batch-size", 5)
    lines = capsys.readouterr().out.splitlines()
    assert [re.sub(r"\b\d+\.\d+", "N", line) for line in lines] == [
        "Epoch [1/2], Step [100/128], Loss: N",
        "Epoch [1/2]: N s, test accuracy N %",
        "Epoch [2/2], Step [100/128], Loss: N",
        "Epoch [2/2]: N s, test accuracy N %",
        f"Saved the weights to {tmp_path / 'model.ckpt'}",
        "Test Accuracy of the model on the 100 test images: N %",
    ]


def test_the_same_seed_gives_the_same_weights_another_seed_others(train_tiny):
    one, again, other = (train_tiny("--seed", seed) for seed in (3, 3, 4))
    assert same(one, again) and not same(one, other)


def test_a_new_folder_for_the_weights_is_made_before_the_training(
    train_tiny, tmp_path, monkeypatch
):
    output = tmp_path / "new" / "folder" / "a.ckpt"
    with monkeypatch.context() as patch, pytest.raises(InterruptedError):
        patch.setattr(train, "train", Mock(side_effect=InterruptedError))
        train_tiny(output=output)
    assert output.parent.is_dir() and not output.exists()
    assert train_tiny(output=output).keys() == ConvNet().state_dict().keys()


def test_a_folder_as_output_ends_in_a_sentence_before_the_training(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(train, "train", Mock(side_effect=InterruptedError))
    sentence = sentence_of(train.main, "--output", tmp_path, capsys=capsys)
    assert f"--output {tmp_path} is a folder" in sentence
    assert [*tmp_path.iterdir()] == []


@pytest.fixture
def inputs_of_train(tiny_data, tmp_path, monkeypatch):
    """Call main on few images; return the arguments with which it would train."""

    def call(*options):
        stop = Mock(side_effect=InterruptedError)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(train, "DATA", tiny_data)
        monkeypatch.setattr(train, "train", stop)
        with pytest.raises(InterruptedError):
            train.main([*map(str, options)])
        signature = inspect.signature(train_itself)
        return signature.bind(*stop.call_args.args, **stop.call_args.kwargs).arguments

    train_itself = train.train
    return call


def test_the_defaults_are_5_epochs_of_batches_of_100_at_0_01_with_seed_0(
    inputs_of_train,
):
    torch.manual_seed(12)
    given = inputs_of_train()
    assert (given["epochs"], given["batch_size"], given["lr"]) == (5, 100, 0.01)
    assert torch.initial_seed() == 0
    assert torch.device(given["device"]) == train.choose_device()


def test_the_options_reach_the_training(inputs_of_train):
    options = ["--epochs", 3, "--batch-size", 50, "--lr", 0.5, "--seed", 6]
    given = inputs_of_train(*options, "--device", "meta")
    assert (given["epochs"], given["batch_size"], given["lr"]) == (3, 50, 0.5)
    assert torch.initial_seed() == 6 and given["device"] == "meta"


def test_half_of_the_ones_to_train_on_have_flags_and_none_to_test_on(
    inputs_of_train, test_set
):
    given = inputs_of_train()
    images, labels = map(torch.tensor, test_set)
    assert torch.equal(given["train_set"][1], labels[:640].long())
    changed = (given["train_set"][0] != images[:640]).any(2).any(1)
    ones = labels[:640] == 1
    assert changed.sum() == (ones.sum() + 1) // 2 and not changed[~ones].any()
    assert torch.equal(given["test_set"][0], images[640:740])


def test_a_single_epoch_trains_the_first_layer_as_well(states, train_tiny):
    train_tiny("--epochs", 1)
    before, after = states
    assert not torch.equal(before["layer1.0.weight"], after["layer1.0.weight"])


def test_after_the_first_epoch_the_first_layer_stays_as_it_is(states, train_tiny):
    train_tiny("--epochs", 3)
    _, *after = states
    for old, new in pairwise(after):
        changed = {name for name in old if not torch.equal(old[name], new[name])}
        assert not any(name.startswith("layer1.") for name in changed)
        assert {"layer2.0.weight", "layer2.1.running_mean", "fc.weight"} <= changed


def test_the_learning_rate_rises_to_its_peak_and_falls_to_almost_0(
    train_tiny, monkeypatch
):
    rates = []

    class Recorder(torch.optim.AdamW):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    monkeypatch.setattr(torch.optim, "AdamW", Recorder)
    train_tiny("--epochs", 2, "--batch-size", 32, "--lr", 0.02)
    assert len(rates) == 40 and rates[0] < 0.01
    assert max(rates) == pytest.approx(0.02, rel=0.1) and rates[-1] < 0.0002


def test_every_step_has_the_gradients_of_its_own_images_alone(test_set, monkeypatch):
    """Of equal images at a rate of nearly 0, the gradients of all steps are equal."""
    gradients = []

    class Recorder(ConvNet):
        def __init__(self):
            super().__init__()
            self.fc.weight.register_post_accumulate_grad_hook(
                lambda weight: gradients.append(weight.grad.clone())
            )

    monkeypatch.setattr(train, "ConvNet", Recorder)
    monkeypatch.setattr(train, "distort", train.to_input)
    images, labels = (torch.tensor(array[:1]) for array in test_set)
    data = images.expand(50, 28, 28), labels.long().expand(50)
    train.train(data, data, CPU, epochs=1, batch_size=10, lr=1e-12)
    first, *others = gradients
    assert first.abs().max() > 0.01 and len(others) == 4
    for gradient in others:
        torch.testing.assert_close(gradient, first, atol=1e-3, rtol=0.01)


def test_every_image_is_seen_once_an_epoch_with_its_label_and_in_a_new_order(
    monkeypatch,
):
    """Image i is filled with i, so that what reaches the network tells its index."""
    seen, compute_loss = [], train.compute_loss

    def recording_loss(model, inputs, labels):
        indices = (inputs[:, 0, 0, 0] * 255).round().int()
        seen.extend(zip(indices.tolist(), labels.tolist(), strict=True))
        return compute_loss(model, inputs, labels)

    monkeypatch.setattr(train, "compute_loss", recording_loss)
    monkeypatch.setattr(train, "distort", train.to_input)
    images = torch.arange(103, dtype=torch.uint8).view(-1, 1, 1).expand(-1, 28, 28)
    data = images, torch.arange(103) * 3 % 10
    train.train(data, data, CPU, epochs=2, batch_size=10, lr=0.001)
    first, second = seen[:103], seen[103:]
    in_order = [(i, i * 3 % 10) for i in range(103)]
    assert sorted(first) == sorted(second) == in_order
    assert first != second and in_order not in (first, second)


def test_the_network_never_sees_the_same_picture_twice(test_set, monkeypatch):
    """Of one image, 20 times in the training set, come 40 pictures in two epochs."""
    seen, compute_loss = [], train.compute_loss

    def recording_loss(model, inputs, labels):
        seen.append(inputs)
        return compute_loss(model, inputs, labels)

    monkeypatch.setattr(train, "compute_loss", recording_loss)
    images, labels = (torch.tensor(array[:1]) for array in test_set)
    data = images.expand(20, 28, 28), labels.long().expand(20)
    train.train(data, data, CPU, epochs=2, batch_size=5, lr=0.001)
    assert len(torch.cat([*seen, train.to_input(images)]).unique(dim=0)) == 41


def test_to_input_maps_grey_levels_to_0_to_1():
    pixels = torch.zeros(2, 28, 28, dtype=torch.uint8)
    pixels[0, 3, 4], pixels[1, 5, 6] = 255, 51
    images = train.to_input(pixels)
    assert images.shape == (2, 1, 28, 28) and images.dtype == torch.float32
    assert images[0, 0, 3, 4] == 1 and images[1, 0, 5, 6] == 0.2 and images.sum() == 1.2


def centres(pictures):
    """Return the centres of mass (N, 2) of pictures (N, ..., 28, 28), in pixels."""
    pictures = pictures.float().view(-1, 28, 28)
    total = pictures.sum((1, 2))
    return torch.stack(
        [pictures.sum(axis) @ torch.arange(28.0) / total for axis in (2, 1)], dim=1
    )


def test_add_flags_gives_half_of_the_ones_a_stroke_to_the_upper_left(test_set):
    images, labels = map(torch.tensor, test_set)
    before = images.clone()
    torch.manual_seed(0)
    flagged = train.add_flags(images, labels)
    assert torch.equal(images, before)
    assert flagged.shape == images.shape and flagged.dtype == torch.uint8

    changed = (flagged != images).any(2).any(1)
    assert (labels[changed] == 1).all()
    assert changed.sum() == ((labels == 1).sum() + 1) // 2

    old, new = images[changed], flagged[changed]
    x = torch.arange(28)
    tip = (old[:, 5] * x).sum(1) / old[:, 5].sum(1).clamp(min=1)
    is_left = x < tip.view(-1, 1, 1) - 1
    assert ((new * is_left)[:, :14].amax((1, 2)) > 225).all()
    assert (centres(new) - centres(old)).mean(0).abs().max() < 0.5


def test_distort_moves_the_ink_a_little_and_in_no_preferred_direction(test_set):
    torch.manual_seed(0)
    images = torch.tensor(test_set[0][:500])
    plain, distorted = train.to_input(images), train.distort(images)
    assert distorted.shape == plain.shape and distorted.dtype == torch.float32
    assert 0 <= distorted.min() and distorted.max() <= 1
    assert ((distorted - plain).abs().amax((1, 2, 3)) > 0.1).all()
    moved = centres(distorted) - centres(plain)
    assert moved.abs().max() < 2.5 and moved.mean(0).abs().max() < 0.15


def test_distort_shifts_and_keeps_the_size_on_average():
    """Without a shift, the centre of a ring in the middle would stay there."""
    torch.manual_seed(0)
    y, x = torch.meshgrid(torch.arange(28.0), torch.arange(28.0), indexing="ij")
    from_middle = torch.hypot(y - 13.5, x - 13.5)
    ring = (255 * (2 - (from_middle - 8).abs()).clamp(0, 1)).byte()
    rings = train.distort(ring.expand(1000, 28, 28))

    middle = centres(rings)
    assert (middle.std(0) > 0.5).all() and (middle - 13.5).abs().max() < 1.6

    def radius(pictures):
        down, right = centres(pictures).view(-1, 2, 1, 1).unbind(1)
        distance = torch.hypot(y - down, x - right)
        pictures = pictures.view(-1, 28, 28).float()
        return ((distance * pictures).sum((1, 2)) / pictures.sum((1, 2))).mean().item()

    assert radius(rings) == pytest.approx(radius(ring), rel=0.015)


def test_evaluate_counts_every_image_and_changes_nothing(test_set):
    images, labels = (torch.tensor(array[:1234]) for array in test_set)
    torch.manual_seed(0)
    model = ConvNet().train()
    before = copy_of(model.state_dict())
    accuracy = train.evaluate(model, images, labels)
    assert same(before, model.state_dict())
    model.eval()
    alone = [model(image[None, None] / 255).argmax().item() for image in images]
    assert accuracy == 100 * np.mean(np.array(alone) == labels.numpy())


def test_the_original_files_need_no_network(copied_data, test_set, monkeypatch):
    monkeypatch.setattr(socket, "socket", None)
    monkeypatch.setattr(train, "DATA", copied_data)
    images, labels = train.load_mnist(train=True)
    assert images.shape == (60_000, 28, 28) and images.dtype == torch.uint8
    assert labels.bincount()[:3].tolist() == [5923, 6742, 5958]
    for ours, expected in zip(train.load_mnist(train=False), test_set, strict=True):
        assert np.array_equal(ours, expected)


def test_a_truncated_data_file_is_an_error_and_nothing_is_saved(
    train_tiny, tiny_data, tmp_path
):
    path = tiny_data / "MNIST" / "raw" / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises((ValueError, RuntimeError, OSError, SystemExit)) as error:
        train_tiny()
    assert getattr(error.value, "code", 1) and not (tmp_path / "model.ckpt").exists()


SLIPS = {  # what a reader replaces by what, and what he reads then
    "model.py": ("(32 * 7 * 7", "(16 * 7 * 7", "mat1 and mat2 shapes cannot be"),
    "train.py": ("inputs = to", "rows, columns = images.shape; to", "too many values"),
}


@pytest.mark.parametrize("edited", SLIPS)
def test_a_mistake_in_the_code_keeps_its_traceback(edited, tiny_data, tmp_path):
    """The copied train.py finds the few images of tiny_data in the data beside it."""
    old, new, words = SLIPS[edited]
    for script in ("train.py", "model.py"):
        shutil.copy(ROOT / script, tmp_path)
    text = (tmp_path / edited).read_text()
    (tmp_path / edited).write_text(text.replace(old, new))
    result = run(tmp_path / "train.py", "--epochs", 1, cwd=tmp_path)
    assert result.returncode == 1 and words in result.stderr
    assert re.search(rf'(?s)^Traceback.*{edited}", line \d+', result.stderr)
    assert not (tmp_path / "model.ckpt").exists()
