"""Trains a small convolutional network with batch norm on three kinds of stripes, and exports it as ONNX.

    pip install torch onnx onnxscript
    python3 export.py

Writes `stripes.onnx`, and `stripes.json`: some images and the logits that PyTorch computes of them.
"""

import json

import torch
from torch import nn

torch.manual_seed(7)


def stripes(n):
    """8×8 images of horizontal, vertical or diagonal stripes, with noise."""
    i, j = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    labels = torch.randint(3, (n,))
    along = torch.stack([i, j, (i + j) / 1.5])[labels]
    phase = 6.28 * torch.rand(n, 1, 1)
    return (torch.sin(1.6 * along + phase) + 0.8 * torch.randn(n, 8, 8)).unsqueeze(1), labels


net = nn.Sequential(
    nn.Conv2d(1, 4, 3, padding=1),
    nn.BatchNorm2d(4),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(64, 16),
    nn.ReLU(),
    nn.Linear(16, 3),
)
x, y = stripes(512)
optimizer = torch.optim.Adam(net.parameters(), 1e-2)
for _ in range(60):
    optimizer.zero_grad()
    nn.functional.cross_entropy(net(x), y).backward()
    optimizer.step()

net.eval()
x, y = stripes(16)
with torch.no_grad():
    x = (x * 100).round() / 100
    logits = net(x)
print("accuracy", (logits.argmax(1) == y).float().mean().item())
batch = torch.export.Dim("batch")
torch.onnx.export(net, (x,), "stripes.onnx", input_names=["image"], output_names=["logits"],
                  dynamic_shapes=[{0: batch}], dynamo=True, external_data=False, optimize=False)
flat = lambda t: [round(v, 7) for v in t.double().flatten().tolist()]
json.dump({"images": flat(x), "labels": y.tolist(), "logits": flat(logits)}, open("stripes.json", "w"))
