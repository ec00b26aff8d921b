"""BLiTZ's README regression on the Boston housing data, timed epoch by epoch.

The model, the scaling, the split, the optimizer, the batches and the loss are those of BLiTZ's README: inputs and target
standardised over all rows, a quarter of them held out (random_state=42), 13 -> 512 -> 1 with a ReLU, Adam at 0.01,
batches of 16 shuffled, sample_elbo over 3 samples of the mean squared error, 100 epochs. What differs: the data come
from a file, since scikit-learn has removed load_boston; the evaluation every hundred steps is left out, so that it is
not timed; and the weight of the KL can be chosen.

Figures are in the unit of the target (thousand dollars). The predictive distribution is the one that README reads:
mean and deviation of the sampled outputs, with no observation noise. So `nll` and the intervals are those of
N(mean, deviation^2).
"""

import csv
import math
import statistics
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from blitz.modules import BayesianLinear
from blitz.utils import variational_estimator
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import common

DATA = Path(__file__).parents[2] / "examples/regression/data/boston.csv"

# The number of standard deviations on either side of the mean that a normal interval of this level takes.
Z = {"75": 1.1503, "95": 1.9600}


# The model as BLiTZ's README defines it.
@variational_estimator
class BayesianRegressor(nn.Module):
    def __init__(self, input_dim, output_dim):
        super().__init__()
        self.blinear1 = BayesianLinear(input_dim, 512)
        self.blinear2 = BayesianLinear(512, output_dim)

    def forward(self, x):
        x_ = self.blinear1(x)
        x_ = F.relu(x_)
        return self.blinear2(x_)


def load(path):
    """Reads the features and the target, the last column, with or without a header."""
    with open(path, newline="") as file:
        rows = list(csv.reader(file))
    if not rows[0][0].replace(".", "", 1).isdigit():
        rows = rows[1:]
    table = np.array(rows, dtype=np.float64)
    return table[:, :-1], table[:, -1:]


def kl_weight(text, train_rows):
    """The weight of the KL in the loss: 1 is BLiTZ's default, 1/N the negative ELBO per row."""
    return 1 / train_rows if text == "1/N" else float(text)


def train(model, rows, epochs, samples, batch_size, weight):
    """Trains, and returns the seconds that each epoch took."""
    batches = torch.utils.data.DataLoader(rows, batch_size=batch_size, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    criterion = nn.MSELoss()
    seconds = []
    for _ in range(epochs):
        start = time.perf_counter()
        for x, y in batches:
            optimizer.zero_grad()
            loss = model.sample_elbo(
                inputs=x,
                labels=y,
                criterion=criterion,
                sample_nbr=samples,
                complexity_cost_weight=weight,
            )
            loss.backward()
            optimizer.step()
        seconds.append(time.perf_counter() - start)
    return seconds


@torch.no_grad()
def evaluate(model, x, y, scale, draws):
    """Test figures in the unit of the target; `scale` is its standard deviation."""
    outputs = torch.stack([model(x) for _ in range(draws)])
    mean, std = outputs.mean(0), outputs.std(0)
    error = (y - mean).abs()
    figures = {
        "rmse": error.square().mean().sqrt().item() * scale,
        "nll": -torch.distributions.Normal(mean, std).log_prob(y).mean().item() + math.log(scale),
        "mean_std": std.mean().item() * scale,
        "coverage_3_std": (error <= 3 * std).float().mean().item(),
    }
    for level, z in Z.items():
        figures[f"coverage_{level}"] = (error <= z * std).float().mean().item()
    figures["width_95"] = 2 * Z["95"] * figures["mean_std"]
    return figures


def main():
    options = common.parser(__doc__.splitlines()[0])
    options.add_argument("--data", type=Path, default=DATA, help="CSV file, the target last")
    options.add_argument("--epochs", type=int, default=100, help="passes over the training rows")
    options.add_argument("--samples", type=int, default=3, help="weight samples in each step's loss")
    options.add_argument("--batch-size", type=int, default=16, help="rows in a training step")
    options.add_argument("--kl-weight", default="1", help="weight of the KL: a number, or 1/N (N training rows)")
    options.add_argument("--draws", type=int, default=100, help="weight samples of the evaluation")
    args = options.parse_args()
    common.prepare(args.threads, args.seed)

    x, y = load(args.data)
    target = StandardScaler().fit(y)
    x, y = StandardScaler().fit_transform(x), target.transform(y)
    split = train_test_split(x, y, test_size=0.25, random_state=42)
    x_train, x_test, y_train, y_test = (torch.tensor(part).float() for part in split)

    model = BayesianRegressor(x.shape[1], 1)
    weight = kl_weight(args.kl_weight, len(x_train))
    rows = torch.utils.data.TensorDataset(x_train, y_train)
    seconds = train(model, rows, args.epochs, args.samples, args.batch_size, weight)
    figures = evaluate(model, x_test, y_test, float(target.scale_[0]), args.draws)
    common.report(
        "blitz-bayesian-pytorch",
        **figures,
        seconds_per_epoch=statistics.median(seconds),
        seconds_per_epoch_min=min(seconds),
        seconds=sum(seconds),
        steps_per_epoch=math.ceil(len(x_train) / args.batch_size),
        train_rows=len(x_train),
        test_rows=len(x_test),
        kl_weight=weight,
        seed=args.seed,
        epochs=args.epochs,
    )


if __name__ == "__main__":
    main()
