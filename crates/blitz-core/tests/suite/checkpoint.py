"""Makes data/net.pt and data/net.safetensors and prints the network's input and output, which checkpoint.rs compares with.

    python -m venv venv && venv/bin/pip install torch safetensors
    venv/bin/python crates/blitz-core/tests/suite/checkpoint.py

The network is that of net.rs: Linear(3, 5), BatchNorm1d(5), ReLU, Linear(5, 2) without bias, in evaluation mode, after
a few steps of training that move the running statistics. Made with PyTorch 2.15.0.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(3, 5)
        self.norm = nn.BatchNorm1d(5)
        self.output = nn.Linear(5, 2, bias=False)

    def forward(self, x):
        return self.output(torch.relu(self.norm(self.hidden(x))))


net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for _ in range(20):
    x = torch.randn(16, 3)
    loss = (net(x) - x[:, :2].sin()).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

folder = Path(__file__).parent / "data"
torch.save(net.state_dict(), folder / "net.pt")
save_file(net.state_dict(), folder / "net.safetensors")

net.eval()
x = torch.tensor([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])
with torch.no_grad():
    y = net(x)
print("hidden.weight[0]", [f"{value:.8f}" for value in net.hidden.weight[0].tolist()])
for row in y.tolist():
    print("output", [f"{value:.8f}" for value in row])
