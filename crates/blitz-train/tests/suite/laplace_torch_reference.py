"""Kronecker-factored Laplace approximations of a last layer by laplace-torch 0.3, and what its recommended prior precision does on the digits.

    pip install laplace-torch==0.3 scikit-learn
    python3 laplace_torch_reference.py            # the numbers of laplace_kronecker.rs
    python3 laplace_torch_reference.py digits     # NLL and ECE of a network on 797 digits, by prior precision
"""

import sys
import warnings

warnings.filterwarnings("ignore")
import numpy as np
import torch
from laplace import Laplace
from laplace.curvature import CurvlinopsGGN
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.set_printoptions(precision=15, linewidth=150)


def linear(weight, bias):
    layer = nn.Linear(*weight.shape, bias=bias is not None)
    layer.weight.data = torch.tensor(weight.T.copy())
    if bias is not None:
        layer.bias.data = torch.tensor(bias)
    return layer


def reference():
    torch.set_default_dtype(torch.float64)
    i = np.arange(12)[:, None]
    j = np.arange(2)[None]
    X = torch.tensor(((7 * i + 3 * j * j + i * j) % 11) / 4 - 1.25)
    labels = torch.tensor((2 * i[:, 0] + 1) % 3)
    W = np.array([[0.5, -0.25, 0.0], [0.25, 0.5, -1.0], [0.125, 0.0, -0.5]])
    query = torch.tensor([[0.5, -2.0]])
    for bias in (W[2], None):
        net = nn.Sequential(nn.Identity(), linear(W[:2], bias))
        la = Laplace(net, "classification", "last_layer", "kron", prior_precision=0.5, backend=CurvlinopsGGN)
        la.fit(DataLoader(TensorDataset(X, labels), batch_size=12))
        mean, covariance = la._glm_predictive_distribution(query)
        print("bias", bias is not None)
        print("factors", [[f.flatten() for f in block] for block in la.H_facs.kfacs])
        print("evidence", la.log_marginal_likelihood().item())
        print("logits", mean, "covariance", covariance.flatten())
        print("probit", la(query))
        la.prior_precision = 5.0
        print("at 5: evidence", la.log_marginal_likelihood().item(), "covariance", la._glm_predictive_distribution(query)[1].flatten())


def digits():
    from sklearn.datasets import load_digits

    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    X = torch.tensor(data.images[order] / 16, dtype=torch.float32)
    y = torch.tensor(data.target[order])

    class Transformer(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.at = nn.Linear(8, 64), nn.Parameter(torch.zeros(8, 64))
            self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 4, 128, batch_first=True), 2)
            self.up, self.last = nn.Linear(64, 256), nn.Linear(256, 10)

        def forward(self, x):
            h = self.encoder(self.embed(x) + self.at).mean(1)
            return self.last(nn.functional.layer_norm(self.up(h), (256,)))

    torch.manual_seed(0)
    net = Transformer()
    optimizer = torch.optim.AdamW(net.parameters(), 1e-3)
    for _ in range(25):
        for batch in torch.randperm(1000).split(50):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(X[batch]), y[batch]).backward()
            optimizer.step()
    net.eval()
    train = DataLoader(TensorDataset(X[:1000], y[:1000]), batch_size=1000)
    held_out, labels = X[1000:], y[1000:]

    def scores(p):
        confidence, answer = p.max(1)
        right = (answer == labels).float()
        ece = 0.0
        for lower in np.arange(15) / 15:
            inside = (confidence > lower) & (confidence <= lower + 1 / 15)
            if inside.any():
                ece += inside.float().mean() * (right[inside].mean() - confidence[inside].mean()).abs()
        return f"NLL {-p[range(len(labels)), labels].log().mean():.3f}, ECE {ece:.3f}"

    with torch.no_grad():
        print("trained:", scores(net(held_out).softmax(1)))
    # The fast path of PyTorch's encoder has no hooks.
    torch.backends.mha.set_fastpath_enabled(False)
    la = Laplace(net, "classification", "last_layer", "kron", backend=CurvlinopsGGN, last_layer_name="last")
    la.fit(train)
    la.optimize_prior_precision(method="marglik")
    print("of largest marginal likelihood:", la.prior_precision.item())
    for precision in (la.prior_precision.item(), 50.0, 500.0):
        la.prior_precision = precision
        print(f"λ = {precision:.3g}: probit {scores(la(held_out))}; draws {scores(la(held_out, link_approx='mc', n_samples=200))}")


digits() if sys.argv[1:] == ["digits"] else reference()
