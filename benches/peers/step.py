"""One workload of the comparison, in BLiTZ, bayesian-torch or plain PyTorch: what `benches/src/bin/workload.rs` runs with blitz.

The network, the batch, the initial means and deviations (0.02), the prior N(0, 1), the objective (mean negative log likelihood + KL / N)
and Adam's learning rate are the same; the losses at the initial weights are compared before anything is timed. Two things of the peers
are set right for that, neither of which costs time: bayesian-torch averages the KL over the elements of each tensor, here it sums, and
BLiTZ's scale mixture gets the share 1 for its first normal.

What remains different: BLiTZ's LSTM has one bias where the others have two (its deviation is larger to match), and bayesian-torch's LSTM
samples its weights anew at every time step, and adds up that many KLs, which are divided again.
"""

import math
import statistics
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

import common

STD = 0.02
BATCH = {"mlp-13-512-1": 16, "lenet-5": 64, "lstm-32-128": 32, "predict-784-400-400-10": 256}
SAMPLES = {"mlp-13-512-1": 3}
EXAMPLES = {"mlp-13-512-1": 379, "lstm-32-128": 10_000}
INPUTS, HIDDEN, STEPS = 32, 128, 32
DRAWS = 100


def widths_of(workload):
    """The widths in a name such as mlp-784-400-400-10; None of another network."""
    kind, *widths = workload.split("-")
    return [int(width) for width in widths] if kind in ("mlp", "predict") else None


class Layers:
    """The layers of one library."""

    def __init__(self, peer, estimator):
        if peer == "blitz":
            from blitz.modules import BayesianConv2d, BayesianLinear, BayesianLSTM

            prior = {"prior_sigma_1": 1.0, "prior_sigma_2": 1.0, "prior_pi": 1.0}
            self.linear = lambda i, o: BayesianLinear(i, o, **prior)
            self.conv = lambda i, o, pad: BayesianConv2d(i, o, (5, 5), padding=pad, **prior)
            self.lstm = lambda i, h: BayesianLSTM(i, h, **prior)
        elif peer == "bayesian_torch":
            from bayesian_torch.layers import base_variational_layer
            from bayesian_torch import layers

            sum_instead_of_mean(base_variational_layer.BaseVariationalLayer_)
            kind = {"shared": "Reparameterization", "flipout": "Flipout"}[estimator]
            layer = lambda name: getattr(layers, name + kind)
            self.linear = lambda i, o: layer("Linear")(i, o)
            self.conv = lambda i, o, pad: layer("Conv2d")(i, o, 5, padding=pad)
            self.lstm = lambda i, h: layer("LSTM")(i, h)
        else:
            self.linear = nn.Linear
            self.conv = lambda i, o, pad: nn.Conv2d(i, o, 5, padding=pad)
            self.lstm = lambda i, h: nn.LSTM(i, h, batch_first=True)


def sum_instead_of_mean(base):
    def kl_div(self, mu_q, sigma_q, mu_p, sigma_p):
        kl = torch.log(sigma_p) - torch.log(sigma_q) + (sigma_q**2 + (mu_q - mu_p) ** 2) / (2 * sigma_p**2) - 0.5
        return kl.sum()

    base.kl_div = kl_div


class Net(nn.Module):
    """The network of a workload; `kl` is what bayesian-torch's layers returned in the last forward pass."""

    def __init__(self, workload, layers):
        super().__init__()
        self.workload, self.kl = workload, 0.0
        if widths := widths_of(workload):
            self.layers = nn.ModuleList(layers.linear(i, o) for i, o in zip(widths, widths[1:]))
        elif workload == "lenet-5":
            self.convs = nn.ModuleList([layers.conv(1, 6, 2), layers.conv(6, 16, 0)])
            self.layers = nn.ModuleList(layers.linear(i, o) for i, o in [(400, 120), (120, 84), (84, 10)])
        else:
            self.lstm = layers.lstm(INPUTS, HIDDEN)

    def part(self, layer, x):
        out = layer(x)
        if isinstance(out, tuple):
            out, kl = out
            self.kl = self.kl + kl
        return out

    def forward(self, x):
        self.kl = 0.0
        if self.workload == "lstm-32-128":
            sequence, _, *kl = self.lstm(x)
            self.kl = kl[0] / STEPS if kl else 0.0
            return sequence[:, -1]
        if self.workload == "lenet-5":
            for conv in self.convs:
                x = F.max_pool2d(F.relu(self.part(conv, x)), 2)
            x = x.flatten(1)
        for layer in self.layers[:-1]:
            x = F.relu(self.part(layer, x))
        return self.part(self.layers[-1], x)


def known_mean(peer, name, shape):
    """The means of `Net::with_known_means`; every gate of an LSTM has the same."""
    is_lstm = name.startswith("lstm")
    if len(shape) == 1:
        return np.zeros(shape)
    if len(shape) == 4:
        o, c, h, w = np.meshgrid(*map(np.arange, shape), indexing="ij")
        return np.sin(1.3 * o + 2.1 * c + 0.7 * h + 0.9 * w) / math.sqrt(np.prod(shape[1:]))
    input_first = is_lstm and peer == "blitz"
    inputs, outputs = shape if input_first else shape[::-1]
    i, o = np.meshgrid(np.arange(inputs), np.arange(HIDDEN if is_lstm else outputs), indexing="ij")
    mean = np.sin(1.3 * i + 2.1 * o + 0.37 * i * o) / math.sqrt(inputs)
    mean = np.tile(mean, (1, 4)) if is_lstm else mean
    return mean if input_first else mean.T


@torch.no_grad()
def set_parameters(net, peer):
    for name, parameter in net.named_parameters():
        if "rho" in name:
            std = STD * (math.sqrt(2) if peer == "blitz" and name.startswith("lstm.bias") else 1)
            parameter.fill_(math.log(math.expm1(std)))
        else:
            parameter.copy_(torch.tensor(known_mean(peer, name, tuple(parameter.shape))))


def known_values(*shape):
    b = np.arange(shape[0])[:, None]
    j = np.arange(math.prod(shape[1:]))[None, :]
    return torch.tensor(np.sin(0.11 * (b + 1) * (j + 1) + 0.5 * b).reshape(shape)).float()


def batch_of(workload, batch):
    if workload == "lstm-32-128":
        return known_values(batch, STEPS, INPUTS), known_values(batch, HIDDEN), F.mse_loss
    if workload == "mlp-13-512-1":
        return known_values(batch, 13), known_values(batch, 1), F.mse_loss
    labels = torch.arange(batch) % 10
    shape = (batch, 1, 28, 28) if workload == "lenet-5" else (batch, widths_of(workload)[0])
    return known_values(*shape), labels, F.cross_entropy


def median_ms(seconds, device, work):
    def run():
        work()
        if device != "cpu":
            torch.cuda.synchronize()

    for _ in range(3):
        run()
    start, times = time.perf_counter(), []
    while time.perf_counter() - start < seconds or len(times) < 5:
        begin = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - begin))
    return statistics.median(times)


def memory(field):
    """Bytes of this process: VmRSS now, VmHWM at most; 0 where the system does not say."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(field)), 0)


def main():
    options = common.parser(__doc__.splitlines()[0])
    options.add_argument("workload")
    options.add_argument("--peer", choices=["blitz", "bayesian_torch", "torch"], required=True)
    options.add_argument("--estimator", choices=["shared", "flipout"], default="shared")
    options.add_argument("--batch", type=int, help="examples of a batch, instead of the workload's")
    options.add_argument("--samples", type=int, help="draws of a training step, instead of the workload's")
    options.add_argument("--seconds", type=float, default=2.0, help="seconds of timed work, at least")
    options.add_argument("--loss-draws", type=int, default=200, help="draws for the mean loss before the timing")
    options.add_argument("--device", default="cpu", help="PyTorch's name of the device")
    options.add_argument("--tf32", action="store_true", help="products in TF32, as Burn computes them on NVIDIA's GPUs")
    args = options.parse_args()
    common.prepare(args.threads, args.seed)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = args.tf32

    layers = Layers(args.peer, args.estimator)
    x, y, criterion = batch_of(args.workload, args.batch or BATCH.get(args.workload, 128))
    # Threads and libraries are not the step's memory.
    F.linear(x.flatten(1), torch.ones(64, x.flatten(1).shape[1])).sum()
    before = memory("VmRSS")
    net = Net(args.workload, layers)
    if args.peer == "blitz":
        from blitz.utils import variational_estimator

        variational_estimator(Net)
    set_parameters(net, args.peer)
    net, x, y = net.to(args.device), x.to(args.device), y.to(args.device)
    package = {"blitz": "blitz-bayesian-pytorch", "bayesian_torch": "bayesian-torch", "torch": "torch"}[args.peer]

    if args.workload.startswith("predict"):

        @torch.no_grad()
        def predict():
            return torch.stack([net(x).softmax(1) for _ in range(DRAWS)]).mean(0)

        ms = median_ms(args.seconds, args.device, predict)
        return common.report(package, ms=ms, probability=predict()[0, 0].item())

    examples, samples = EXAMPLES.get(args.workload, 60_000), args.samples or SAMPLES.get(args.workload, 1)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)

    def step():
        optimizer.zero_grad()
        if args.peer == "blitz":
            loss = net.sample_elbo(
                inputs=x, labels=y, criterion=criterion, sample_nbr=samples, complexity_cost_weight=1 / examples
            )
        elif args.peer == "bayesian_torch":
            loss = sum(criterion(net(x), y) + net.kl / examples for _ in range(samples)) / samples
        else:
            loss = criterion(net(x), y)
        loss.backward()
        optimizer.step()

    nlls, kls = [], []
    with torch.no_grad():
        for _ in range(args.loss_draws):
            nlls.append(criterion(net(x), y).item())
            kls.append(float(net.nn_kl_divergence()) if args.peer == "blitz" else float(net.kl))
    for _ in range(2):
        step()
    peak = memory("VmHWM") - before
    # BLiTZ registers each parameter twice, over the same memory.
    weights = sum({p.data_ptr(): p.numel() for name, p in net.named_parameters() if "rho" not in name}.values())
    common.report(
        package,
        ms=median_ms(args.seconds, args.device, step),
        nll=statistics.mean(nlls),
        nll_se=statistics.stdev(nlls) / math.sqrt(len(nlls)),
        kl=statistics.mean(kls),
        kl_se=statistics.stdev(kls) / math.sqrt(len(kls)),
        draws_anew=args.peer == "bayesian_torch" and args.workload == "lstm-32-128",
        weights=weights,
        peak_bytes=peak,
    )


if __name__ == "__main__":
    main()
