"""Writes checkpoints of networks made with BLiTZ, bayesian-torch and torch-uncertainty, and what their weights and predictions are.

    pip install torch==2.15.0 numpy safetensors blitz-bayesian-pytorch==0.2.8 bayesian-torch==0.5.0 torch-uncertainty==0.13.0 lightning timm rich
    python3 posteriors.py

For each library there are a state dict, such as `blitz.pt`, and a file `blitz.safetensors` with
  mean.PATH, std.PATH        of each weight, in Burn's layout and under the path that it has there
  NET.input                  the input of a network
  NET.mean, NET.std          mean and deviation of its output over 10,000 draws of the library's own
"""

import torch
from bayesian_torch.layers import Conv2dReparameterization, LinearReparameterization, LSTMReparameterization
from blitz.modules import BayesianConv2d, BayesianEmbedding, BayesianGRU, BayesianLinear, BayesianLSTM
from safetensors.torch import save_file
from torch import nn
from torch_uncertainty.layers.bayesian import BayesConv2d, BayesLinear

DRAWS = 10_000


def std(rho):
    # As each of the three computes it.
    return torch.log1p(torch.exp(rho))


class Mlp(nn.Module):
    def __init__(self, linear):
        super().__init__()
        # Square, so that a transposed weight would still fit.
        self.first = linear(3, 3)
        self.second = linear(3, 2)

    def forward(self, x):
        return self.second(torch.relu(self.first(x)))


class ConvNet(nn.Module):
    def __init__(self, conv, linear):
        super().__init__()
        self.conv = conv
        self.head = linear(8, 2)

    def forward(self, x):
        return self.head(torch.relu(self.conv(x)).flatten(1))


class Sequence(nn.Module):
    def __init__(self, recurrent, linear):
        super().__init__()
        self.recurrent = recurrent
        self.head = linear(3, 2)

    def forward(self, x):
        return self.head(self.recurrent(x)[0][:, -1])


class Words(nn.Module):
    def __init__(self, embedding, linear):
        super().__init__()
        self.embedding = embedding
        self.head = linear(3, 2)

    def forward(self, x):
        return self.head(self.embedding(x))


class Step(nn.Module):
    """One step from a given state: bayesian-torch draws other weights at each."""

    def __init__(self, recurrent, linear):
        super().__init__()
        self.recurrent = recurrent
        self.head = linear(3, 2)

    def forward(self, x):
        hidden, cell = torch.full((len(x), 3), 0.5), torch.full((len(x), 3), -0.3)
        return self.head(self.recurrent(x, (hidden, cell))[0][:, -1])


def write(name, nets, weights):
    torch.manual_seed(11)
    model = nn.ModuleDict(nets)
    for parameter_name, parameter in model.named_parameters():
        is_rho = "rho" in parameter_name or "sigma" in parameter_name
        parameter.data.normal_(-1.5 if is_rho else 0.0, 0.5)
    torch.save(model.state_dict(), f"{name}.pt")
    tensors = {}
    with torch.no_grad():
        for path, (mean, rho) in weights(model).items():
            tensors[f"mean.{path}"], tensors[f"std.{path}"] = mean, std(rho)
        for net, module in model.items():
            if net == "words":
                x = torch.tensor([[0], [2], [4]])[:, 0]
            elif net == "conv_net":
                x = torch.randn(3, 1, 3, 3)
            elif net in ("mlp",):
                x = torch.randn(4, 3)
            else:
                x = torch.randn(3, 1 if net == "step" else 4, 3)
            draws = torch.stack([module(x) for _ in range(DRAWS)]).double()
            tensors[f"{net}.input"] = x
            tensors[f"{net}.mean"] = draws.mean(0).float()
            tensors[f"{net}.std"] = draws.std(0).float()
    save_file({key: value.detach().contiguous().clone() for key, value in tensors.items()}, f"{name}.safetensors")


def layer(module, weight, bias, matrix):
    """Mean and ρ of weight and bias, by their attributes; a matrix is transposed."""
    turn = (lambda tensor: tensor.T) if matrix else (lambda tensor: tensor)
    get = lambda names: tuple(getattr(module, name) for name in names)
    return {"weight": tuple(map(turn, get(weight))), "bias": get(bias)}


def collect(layers):
    return {f"{path}.{kind}": pair for path, parts in layers.items() for kind, pair in parts.items()}


BLITZ = (("weight_mu", "weight_rho"), ("bias_mu", "bias_rho"))
TORCH = (("mu_weight", "rho_weight"), ("mu_bias", "rho_bias"))
KERNEL = (("mu_kernel", "rho_kernel"), ("mu_bias", "rho_bias"))
UNCERTAINTY = (("weight_mu", "weight_sigma"), ("bias_mu", "bias_sigma"))


def linears(model, paths, names):
    return {path: layer(model.get_submodule(path), *names, True) for path in paths}


def blitz_weights(model):
    heads = ["mlp.first", "mlp.second", "conv_net.head", "lstm.head", "gru.head", "words.head"]
    layers = linears(model, heads, BLITZ)
    layers["conv_net.conv"] = layer(model["conv_net"].conv, *BLITZ, False)
    weights = collect(layers)
    embedding = model["words"].embedding
    weights["words.embedding.weight"] = (embedding.weight_mu, embedding.weight_rho)
    gates = {"lstm": ["input_gate", "forget_gate", "cell_gate", "output_gate"], "gru": ["reset_gate", "update_gate", "new_gate"]}
    for net, names in gates.items():
        cell = model[net].recurrent
        for index, gate in enumerate(names):
            for part, transform in (("ih", "input_transform"), ("hh", "hidden_transform")):
                # The candidate of the GRU has its hidden part one further.
                at = index + (net == "gru" and gate == "new_gate" and part == "hh")
                columns = slice(3 * at, 3 * at + 3)
                pair = (getattr(cell, f"weight_{part}_{kind}")[:, columns] for kind in ("mu", "rho"))
                weights[f"{net}.recurrent.{gate}.{transform}.weight"] = tuple(pair)
    return weights


def torch_weights(model):
    layers = linears(model, ["mlp.first", "mlp.second", "conv_net.head", "step.head"], TORCH)
    layers["conv_net.conv"] = layer(model["conv_net"].conv, *KERNEL, False)
    cell = model["step"].recurrent
    for index, gate in enumerate(["input_gate", "forget_gate", "cell_gate", "output_gate"]):
        rows = slice(3 * index, 3 * index + 3)
        for part, transform in ((cell.ih, "input_transform"), (cell.hh, "hidden_transform")):
            layers[f"step.recurrent.{gate}.{transform}"] = {
                "weight": (part.mu_weight[rows].T, part.rho_weight[rows].T),
                "bias": (part.mu_bias[rows], part.rho_bias[rows]),
            }
    return collect(layers)


def uncertainty_weights(model):
    layers = linears(model, ["mlp.first", "mlp.second", "conv_net.head"], UNCERTAINTY)
    layers["conv_net.conv"] = layer(model["conv_net"].conv, *UNCERTAINTY, False)
    return collect(layers)


def without_kl(layer):
    """A layer of bayesian-torch that returns its output alone."""
    layer.dnn_to_bnn_flag = True
    return layer


write(
    "blitz",
    {
        "mlp": Mlp(BayesianLinear),
        "conv_net": ConvNet(BayesianConv2d(1, 2, (2, 2)), BayesianLinear),
        "lstm": Sequence(BayesianLSTM(3, 3), BayesianLinear),
        "gru": Sequence(BayesianGRU(3, 3), BayesianLinear),
        "words": Words(BayesianEmbedding(5, 3), BayesianLinear),
    },
    blitz_weights,
)
linear = lambda inputs, outputs: without_kl(LinearReparameterization(inputs, outputs))
write(
    "bayesian_torch",
    {
        "mlp": Mlp(linear),
        "conv_net": ConvNet(without_kl(Conv2dReparameterization(1, 2, 2)), linear),
        "step": Step(without_kl(LSTMReparameterization(3, 3)), linear),
    },
    torch_weights,
)
write(
    "torch_uncertainty",
    {"mlp": Mlp(BayesLinear), "conv_net": ConvNet(BayesConv2d(1, 2, 2), BayesLinear)},
    uncertainty_weights,
)
