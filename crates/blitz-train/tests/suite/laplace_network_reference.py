"""Laplace approximations of whole small networks by laplace-torch 0.3: the numbers of laplace_network.rs.

    pip install laplace-torch==0.3
    python3 laplace_network_reference.py
"""

import warnings

warnings.filterwarnings("ignore")
import numpy as np
import torch
from laplace import Laplace
from laplace.curvature import CurvlinopsEF, CurvlinopsGGN
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.set_default_dtype(torch.float64)
torch.set_printoptions(precision=12, linewidth=150)


def values(tensor, *shape):
    """Numbers of a tensor, in Burn's layout."""
    i = np.arange(np.prod(shape))
    return np.sin(1.3 * tensor + 0.7 * i).reshape(shape)


def linear(number, inputs, outputs):
    layer = nn.Linear(inputs, outputs)
    layer.weight.data = torch.tensor(values(number, inputs, outputs).T.copy())
    layer.bias.data = torch.tensor(values(number + 1, outputs))
    return layer


def convolution():
    layer = nn.Conv2d(1, 2, 3)
    layer.weight.data = torch.tensor(values(0, 2, 1, 3, 3))
    layer.bias.data = torch.tensor(values(1, 2))
    return layer


def features(rows, *shape):
    count = int(np.prod(shape))
    i, j = np.arange(rows)[:, None], np.arange(count)[None]
    return torch.tensor(((7 * i + 3 * j * j + i * j) % 11 / 4 - 1.25).reshape(rows, *shape))


def show(name, likelihood, net, x, y, query):
    for structure, backend in (("full", CurvlinopsGGN), ("diag", CurvlinopsGGN), ("diag", CurvlinopsEF), ("kron", CurvlinopsGGN)):
        noise = {"sigma_noise": 0.5} if likelihood == "regression" else {}
        la = Laplace(net, likelihood, "all", structure, prior_precision=0.5, backend=backend, **noise)
        la.fit(DataLoader(TensorDataset(x, y), batch_size=len(x)))
        # Of a regression the empirical Fisher information is half of the squared gradients of the loss with this noise: not compared.
        print(name, structure, backend.__name__, "evidence", la.log_marginal_likelihood().item())
        if backend is CurvlinopsGGN:
            mean, covariance = la._glm_predictive_distribution(query)
            print("   mean", mean.flatten(), "covariance", covariance.flatten())
        if likelihood == "classification" and structure == "full":
            print("   probit", la(query).flatten())


n = 12
net = nn.Sequential(linear(0, 2, 4), nn.Tanh(), linear(2, 4, 2))
y = torch.tensor(np.stack([np.sin(np.arange(n)), np.cos(np.arange(n))], 1))
show("regression", "regression", net, features(n, 2), y, torch.tensor([[0.5, -2.0]]))

net = nn.Sequential(linear(0, 2, 4), nn.Tanh(), linear(2, 4, 3))
labels = torch.tensor((2 * np.arange(n) + 1) % 3)
show("classification", "classification", net, features(n, 2), labels, torch.tensor([[0.5, -2.0]]))

net = nn.Sequential(convolution(), nn.Tanh(), nn.Flatten(), linear(2, 8, 3))
show("convolution", "classification", net, features(n, 1, 4, 4), labels, features(n + 1, 1, 4, 4)[n:])
