"""The network: its shapes, its parameters, its gradients; what the scripts share."""

import pytest
import torch

from model import ConvNet, choose_device, to_input

# The keys and shapes of the plain tutorial network, which never change.
SHAPES = {
    "layer1.0.weight": (16, 1, 5, 5),
    "layer1.0.bias": (16,),
    "layer1.1.weight": (16,),
    "layer1.1.bias": (16,),
    "layer1.1.running_mean": (16,),
    "layer1.1.running_var": (16,),
    "layer1.1.num_batches_tracked": (),
    "layer2.0.weight": (32, 16, 5, 5),
    "layer2.0.bias": (32,),
    "layer2.1.weight": (32,),
    "layer2.1.bias": (32,),
    "layer2.1.running_mean": (32,),
    "layer2.1.running_var": (32,),
    "layer2.1.num_batches_tracked": (),
    "fc.weight": (10, 1568),
    "fc.bias": (10,),
}


def test_state_dict_has_the_plain_tutorial_networks_keys_and_shapes():
    state = ConvNet().state_dict()
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == SHAPES


def test_there_are_29034_parameters():
    assert sum(p.numel() for p in ConvNet().parameters()) == 29_034


@pytest.mark.parametrize("count", [1, 2, 7])
def test_n_images_give_n_times_10_logits(count):
    logits = ConvNet()(torch.rand(count, 1, 28, 28))
    assert logits.shape == (count, 10) and logits.dtype == torch.float32


def test_num_classes_sets_the_number_of_logits():
    assert ConvNet(num_classes=47)(torch.rand(2, 1, 28, 28)).shape == (2, 47)


def test_forward_returns_logits_not_probabilities():
    torch.manual_seed(0)
    logits = ConvNet()(torch.rand(4, 1, 28, 28))
    assert logits.min() < 0 and not torch.allclose(logits.sum(1), torch.ones(4))


def test_forward_is_conv_norm_relu_pool_twice_then_linear():
    """Against the usual formula (ReLU, then pooling) and the state_dict alone."""
    from torch.nn import functional as F

    torch.manual_seed(0)
    model = ConvNet()
    model(torch.rand(8, 1, 28, 28))  # moves the running statistics off 0 and 1
    model.eval()
    w = model.state_dict()
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


def test_every_parameter_gets_a_gradient():
    model = ConvNet()
    torch.nn.functional.cross_entropy(
        model(torch.rand(4, 1, 28, 28)), torch.tensor([1, 2, 3, 4])
    ).backward()
    for name, parameter in model.named_parameters():
        if name not in ("layer1.0.bias", "layer2.0.bias"):  # BatchNorm cancels these
            assert parameter.grad.abs().max() > 1e-6, name


def test_to_input_maps_grey_levels_to_0_to_1():
    pixels = torch.zeros(2, 28, 28, dtype=torch.uint8)
    pixels[0, 3, 4], pixels[1, 5, 6] = 255, 51
    images = to_input(pixels)
    assert images.shape == (2, 1, 28, 28) and images.dtype == torch.float32
    assert images[0, 0, 3, 4] == 1 and images[1, 0, 5, 6] == 0.2 and images.sum() == 1.2


def test_auto_is_cuda_when_available_else_the_cpu():
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert choose_device("auto").type == expected
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda:77", "gpu", "", "cpu:x", "meta", "mkldnn"])
def test_a_device_that_is_not_there_is_a_value_error(name):
    with pytest.raises(ValueError, match="--device cpu"):
        choose_device(name)
