"""The network that train.py trains and demo.py uses, and what the scripts share.

    from model import ConvNet
    logits = ConvNet()(images)  # images (N, 1, 28, 28) -> logits (N, 10)

Two blocks of convolution, batch normalisation, max-pooling and ReLU, then one
linear layer: 29,034 parameters, about 99.5 % of the MNIST test set after five epochs.
"""

import torch
from torch import nn

WEIGHTS_FILE = "model.ckpt"  # written by train.py, read by demo.py


class ConvNet(nn.Module):
    """Classify 28x28 pictures of handwritten digits.

    Comments give the shape after each layer, for N pictures.
    """

    def __init__(self, num_classes: int = 10):
        super().__init__()
        self.layer1 = nn.Sequential(  # (N, 1, 28, 28)
            nn.Conv2d(1, 16, kernel_size=5, padding=2),  # (N, 16, 28, 28)
            nn.BatchNorm2d(16),
            nn.MaxPool2d(kernel_size=2),  # (N, 16, 14, 14)
            nn.ReLU(),  # behind the pooling: a quarter of the work, the same result
        )
        self.layer2 = nn.Sequential(
            nn.Conv2d(16, 32, kernel_size=5, padding=2),  # (N, 32, 14, 14)
            nn.BatchNorm2d(32),
            nn.MaxPool2d(kernel_size=2),  # (N, 32, 7, 7)
            nn.ReLU(),
        )
        self.fc = nn.Linear(32 * 7 * 7, num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map (N, 1, 28, 28) float32 in [0, 1], white on black, to (N, 10) logits."""
        features = self.layer2(self.layer1(images))
        return self.fc(features.flatten(1))


def to_input(pixels: torch.Tensor) -> torch.Tensor:
    """Turn (N, 28, 28) uint8 grey levels into (N, 1, 28, 28) float32 in [0, 1]."""
    return pixels.unsqueeze(1).float() / 255


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of that name; "auto" is CUDA when available, else the CPU.

    Raises ValueError for a device that this machine does not have.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name).item()  # fails where no calculation is possible
    except (RuntimeError, AssertionError, ImportError) as error:
        raise ValueError(f"no device {name!r} here, try --device cpu") from error
    return torch.device(name)


def has_fast_bfloat16(device: torch.device) -> bool:
    """Tell whether the processor calculates in bfloat16 itself; emulated it is slow."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if not hasattr(torch.cpu, "get_capabilities"):  # torch 2.9
        return False
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))
