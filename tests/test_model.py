"""The network: the plain tutorial's keys, shapes and formula; the device."""

import pytest
import torch
from torch.nn import functional as F

from model import ConvNet, choose_device

BLOCK = ("0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var")


def test_the_state_dict_is_that_of_the_plain_tutorial_network():
    shapes = {"fc.weight": (10, 1568), "fc.bias": (10,)}
    for layer, channels, inputs in (("layer1", 16, 1), ("layer2", 32, 16)):
        shapes |= {f"{layer}.{name}": (channels,) for name in BLOCK}
        shapes[f"{layer}.0.weight"] = (channels, inputs, 5, 5)
        shapes[f"{layer}.1.num_batches_tracked"] = ()
    state = ConvNet().state_dict()
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == shapes
    assert sum(p.numel() for p in ConvNet().parameters()) == 29_034


def test_forward_is_conv_norm_relu_pool_twice_then_linear():
    torch.manual_seed(0)
    model = ConvNet()
    model(torch.rand(8, 1, 28, 28))  # moves the running statistics off 0 and 1
    w = model.eval().state_dict()
    images = torch.rand(3, 1, 28, 28)
    x = images
    for layer in ("layer1", "layer2"):
        x = F.conv2d(x, w[f"{layer}.0.weight"], w[f"{layer}.0.bias"], padding=2)
        mean, var = w[f"{layer}.1.running_mean"], w[f"{layer}.1.running_var"]
        x = (x - mean[:, None, None]) / torch.sqrt(var[:, None, None] + 1e-5)
        x = x * w[f"{layer}.1.weight"][:, None, None]
        x = (x + w[f"{layer}.1.bias"][:, None, None]).clamp(min=0)
        n, c, h, _ = x.shape
        x = x.view(n, c, h // 2, 2, h // 2, 2).amax(dim=(3, 5))
    expected = x.flatten(1) @ w["fc.weight"].T + w["fc.bias"]
    torch.testing.assert_close(model(images), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("available", "name"), [(True, "cuda"), (False, "cpu")])
def test_the_device_is_cuda_if_available_otherwise_the_cpu(
    available, name, monkeypatch
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    assert choose_device() == torch.device(name)
