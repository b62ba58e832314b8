"""Train the network of model.py with the loop of most tutorials, to compare train.py.

    python docs/plain.py

The images come one by one from a DataLoader, the learning rate never changes, and
nothing else is done.
"""

import argparse
import sys
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision.datasets import MNIST
from torchvision.transforms import ToTensor

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from model import ConvNet, choose_device

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=5)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)
device = choose_device()

train_set = MNIST(ROOT / "data", train=True, transform=ToTensor(), download=True)
test_set = MNIST(ROOT / "data", train=False, transform=ToTensor(), download=True)
train_loader = DataLoader(train_set, batch_size=100, shuffle=True)
test_loader = DataLoader(test_set, batch_size=100)

model = ConvNet().to(device)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.001)

for epoch in range(1, args.epochs + 1):
    for step, (images, labels) in enumerate(train_loader, start=1):
        outputs = model(images.to(device))
        loss = criterion(outputs, labels.to(device))

        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

        if step % 100 == 0:
            print(f"Epoch [{epoch}/{args.epochs}], Step [{step}/600], Loss: {loss:.4f}")

model.eval()
correct = 0
with torch.no_grad():
    for images, labels in test_loader:
        predicted = model(images.to(device)).argmax(1)
        correct += (predicted == labels.to(device)).sum().item()

accuracy = 100 * correct / len(test_set)
print(
    f"Test Accuracy of the model on the {len(test_set)} test images: {accuracy:.2f} %"
)
