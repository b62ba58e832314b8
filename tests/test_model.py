"""The network: the plain tutorial's keys, shapes and formula; the device."""

import pytest
import torch
from torch.nn import functional as F

from model import ConvNet, choose_device, to_input

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


def test_to_input_maps_grey_levels_to_0_to_1():
    pixels = torch.zeros(2, 28, 28, dtype=torch.uint8)
    pixels[0, 3, 4], pixels[1, 5, 6] = 255, 51
    images = to_input(pixels)
    assert images.shape == (2, 1, 28, 28) and images.dtype == torch.float32
    assert images[0, 0, 3, 4] == 1 and images[1, 0, 5, 6] == 0.2 and images.sum() == 1.2


def test_the_device_is_cuda_if_it_works_otherwise_the_cpu(monkeypatch):
    assert choose_device().type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert choose_device("cpu") == torch.device("cpu")

    def too_old(*args, **kwargs):
        raise RuntimeError("no kernel image is available for execution on the device")

    monkeypatch.setattr(torch, "ones", too_old)
    assert choose_device().type == "cpu"


@pytest.mark.parametrize("name", ["cuda:77", "gpu", "cpu:x", "meta"])
def test_a_device_that_is_not_there_is_a_value_error(name):
    with pytest.raises(ValueError, match="--device cpu"):
        choose_device(name)
