"""Scores and calibrators by torch-uncertainty 0.13, and what it lacks by SciPy.

    pip install torch torch_uncertainty==0.13.0 scikit-learn scipy
    python3 torch_uncertainty_reference.py > torch_uncertainty_reference.rs

Writes the data and what `torch_uncertainty.rs` expects of them. Everything is in f64, but for what torch-uncertainty casts to f32 itself: calibration errors, FPR95.
"""

import logging
import warnings
from functools import partial
from math import ceil

import numpy as np
import torch
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import softmax
from scipy.stats import norm
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torch_uncertainty.metrics.classification import (
    AUGRC,
    AURC,
    FPR95,
    SCODAUGRC,
    SCODAURC,
    AdaptiveCalibrationError,
    BrierScore,
    CalibrationError,
    CategoricalNLL,
    ClasswiseCalibrationError,
    CovAtxRisk,
    Entropy,
    MutualInformation,
    RiskAtxCov,
    SCODCovAtxRisk,
    SCODRiskAtxCov,
    SmoothCalibrationError,
    VariationRatio,
)
from torch_uncertainty.metrics.regression import IntervalCoverage, IntervalScore, MeanIntervalWidth
from torch_uncertainty.post_processing import (
    ConformalClsAPS,
    ConformalClsRAPS,
    ConformalClsTHR,
    DirichletScaler,
    HistogramBinningScaler,
    IsotonicRegressionScaler,
    MatrixScaler,
    TemperatureScaler,
)
from torch_uncertainty.post_processing.calibration import dirichlet_scaler as dirichlet_module
from torch_uncertainty.post_processing.calibration import scaler as scaler_module
from torch_uncertainty.post_processing.conformal import ConformalRegCQR
from torchmetrics.classification import BinaryAUROC

logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")
torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(2026)
print("//! Written by `torch_uncertainty_reference.py`.\n")


def rust(name, values):
    if torch.is_tensor(values):
        values = values.numpy()
    if np.ndim(values) == 0:
        print(f"pub const {name}: f64 = {float(values)!r};")
        return
    flat = np.ravel(values)
    kind, cast = ("f64", float) if flat.dtype.kind == "f" else ("usize", int)
    print(f"pub static {name}: [{kind}; {len(flat)}] = [{', '.join(repr(cast(v)) for v in flat)}];")


def score(metric, *inputs):
    metric.set_dtype(torch.float64)
    metric.update(*inputs)
    return metric.compute()


# Three draws of overconfident logits, for as many examples as fill ten bins evenly. No two confidences tie.
N, C, DRAWS = 200, 4, 3
truth = rng.normal(0, 1, (N, C))
labels = np.array([rng.choice(C, p=row) for row in softmax(truth, 1)])
draws = np.round(2.0 * truth[None] + [0.4, 0.0, -0.5, 0.1] + rng.normal(0, 0.8, (DRAWS, N, C)), 3)
of_draws = softmax(draws, -1)
p = of_draws.mean(0)
assert len(set(p.max(1))) == N
rust("DRAWS", draws)
rust("LABELS", labels)
tp, ty = torch.tensor(p), torch.tensor(labels)
per_example = torch.tensor(of_draws.transpose(1, 0, 2))
correct = p.argmax(1) == labels

rust("NLL", score(CategoricalNLL(), tp, ty))
rust("BRIER", score(BrierScore(num_classes=C), tp, ty))
rust("ENTROPY", score(Entropy(reduction=None), tp))
rust("MUTUAL_INFORMATION", score(MutualInformation(reduction=None), per_example))
# The estimators first: `update` transposes.
rust("VARIATION_RATIO", score(VariationRatio(probabilistic=False, reduction="none"), per_example.transpose(0, 1)))
rust("ECE", score(CalibrationError(task="multiclass", num_bins=15, num_classes=C), tp, ty))
rust("ADAPTIVE_ECE", score(AdaptiveCalibrationError(task="multiclass", num_bins=10, num_classes=C), tp, ty))
rust("CLASSWISE_ECE", score(ClasswiseCalibrationError(num_classes=C, num_bins=15), tp, ty))

# The smooth error: torch-uncertainty rounds to a grid, so the definition by quadrature, too.
# Confidences that are too low here and too high there, so that a wide kernel cancels what a narrow one does not.
conf = np.round(rng.uniform(0.5, 1, N), 6)
right = rng.random(N) < np.clip(conf + 0.25 * np.sin(14 * conf), 0, 1)
rust("CONFIDENCE", conf)
rust("RIGHT", right.astype(int))
binary = torch.tensor(conf), torch.tensor(right.astype(int))


def smooth(sigma):
    images = 2.0 * np.arange(-8, 9)[:, None]

    def residual(t):
        kernel = norm.pdf(t - conf + images, scale=sigma) + norm.pdf(t + conf + images, scale=sigma)
        return ((right - conf) * kernel.sum(0)).mean()

    grid = np.linspace(0, 1, 2001)
    values = np.array([residual(t) for t in grid])
    turns = [brentq(residual, grid[i], grid[i + 1], xtol=1e-15) for i in np.flatnonzero(values[1:] * values[:-1] < 0)]
    ends = [0.0, *turns, 1.0]
    return sum(abs(quad(residual, a, b, epsabs=1e-13, limit=200)[0]) for a, b in zip(ends, ends[1:]))


rust("SMOOTH_AT_01", smooth(0.1))
rust("SMOOTH_AT_003", smooth(0.03))
rust("SMOOTH", brentq(lambda sigma: smooth(sigma) - sigma, 0.005, 0.5, xtol=1e-12))
for sigma, name in [(0.1, "01"), (0.03, "003")]:
    metric = SmoothCalibrationError(kernel_type="reflected", bandwidth=sigma, mesh_pts=20000)
    rust(f"THEIR_SMOOTH_AT_{name}", score(metric, *binary))
rust("THEIR_SMOOTH", score(SmoothCalibrationError(kernel_type="reflected"), *binary))

# Selective prediction.
rust("THEIR_AURC", score(AURC(), tp, ty))
rust("THEIR_AUGRC", score(AUGRC(), tp, ty))
rust("COVERAGE_AT_RISK", score(CovAtxRisk(risk_threshold=0.4), tp, ty))
rust("RISK_AT_COVERAGE", score(RiskAtxCov(cov_threshold=0.8), tp, ty))
outside = rng.random(N) < 0.3
ood = torch.tensor(np.round(rng.normal(outside * 1.0, 1.0), 6))
assert len(set(ood.tolist())) == N
rust("OOD_SCORE", ood)
rust("OUTSIDE", outside.astype(int))
scod = (ood, torch.tensor(~correct * 1.0), torch.tensor(outside))
for metric, name in [
    (SCODAURC(ood_cost=0.7), "AURC"),
    (SCODAUGRC(ood_cost=0.7), "AUGRC"),
    (SCODCovAtxRisk(risk_threshold=0.2, ood_cost=0.7), "COVERAGE_AT_RISK"),
    (SCODRiskAtxCov(cov_threshold=0.8, ood_cost=0.7), "RISK_AT_COVERAGE"),
]:
    rust(f"SCOD_{name}", score(metric, *scod))

# Detection. Theirs asks for a high score of what is positive.
rust("FPR95", score(FPR95(pos_label=0), -ood, torch.tensor(outside.astype(int))))
rust("AUROC", score(BinaryAUROC(), ood, torch.tensor(outside.astype(int))))

# Calibrators, fitted on the first half and applied to the second; of the first draw's logits.
half = N // 2
logits = torch.tensor(draws[0])
loader = DataLoader(TensorDataset(logits[:half], ty[:half]), batch_size=half)
later = logits[half:]


# Their L-BFGS stops where the loss changes by less than 1e-9: here, where nothing moves.
exact = partial(torch.optim.LBFGS, tolerance_grad=1e-13, tolerance_change=0, line_search_fn="strong_wolfe")
for module in [scaler_module, dirichlet_module]:
    module.LBFGS = lambda parameters, lr, max_iter: exact(parameters, lr=1, max_iter=10000)


def fit(scaler):
    scaler.double() if isinstance(scaler, nn.Module) else None
    scaler.fit(loader, progress=False)
    return scaler


rust("TEMPERATURE", fit(TemperatureScaler()).temperature[0].detach().squeeze())
scaler = fit(MatrixScaler(C))
rust("MATRIX_WEIGHT", scaler.inv_temperature_weight.detach())
rust("MATRIX_OFFSET", scaler.inv_temperature_bias.detach())
rust("MATRIX", scaler(later).softmax(-1))
scaler = fit(DirichletScaler(C, lambda_reg=0.3, mu_reg=0.2))
rust("DIRICHLET_WEIGHT", scaler.inv_temperature_weight.detach())
rust("DIRICHLET_OFFSET", scaler.inv_temperature_bias.detach())
rust("DIRICHLET", scaler(later).softmax(-1))
rust("HISTOGRAM", fit(HistogramBinningScaler(num_bins=5))(later).exp())
rust("ISOTONIC", fit(IsotonicRegressionScaler())(later).exp())

# Sets. torch-uncertainty takes the (1 - alpha)-quantile of n scores, interpolated and without the correction for n:
# at this alpha it is the order statistic that conformal prediction asks for.
level = 0.8
rank = ceil(round((half + 1) * level, 9))
alpha = 1 - (rank - 1) / (half - 1)


def bits(sets):
    return ((np.asarray(sets) > 0) * 2 ** np.arange(C)).sum(1)


for name, conformal in [
    ("LAC", ConformalClsTHR(alpha=alpha, enable_ts=False)),
    ("APS", ConformalClsAPS(alpha=alpha, randomized=False, enable_ts=False)),
    ("RAPS", ConformalClsRAPS(alpha=alpha, randomized=False, penalty=0.1, regularization_rank=2, enable_ts=False)),
]:
    conformal.set_model(nn.Identity())
    conformal.fit(loader)
    rust(f"{name}_THRESHOLD", conformal.quantile)
    rust(f"{name}_SETS", bits(conformal(later)))
    conformal.alpha = 1 - level
    conformal.fit(loader)
    rust(f"{name}_THEIR_THRESHOLD", conformal.quantile)

# SAPS from its formula, without randomization: torch-uncertainty has none.
WEIGHT = 0.3


def saps(p):
    ranks = (-p).argsort(1).argsort(1) + 1
    top = p.max(1, keepdims=True)
    return np.where(ranks == 1, top, top + (ranks - 1) * WEIGHT)


first, second = softmax(draws[0, :half], 1), softmax(draws[0, half:], 1)
threshold = np.sort(saps(first)[range(half), labels[:half]])[rank - 1]
rust("SAPS_THRESHOLD", threshold)
rust("SAPS_SETS", bits(saps(second) <= threshold + 1e-12))

# Intervals.
lower, upper = np.round(rng.normal(-1, 0.3, N), 4), np.round(rng.normal(1, 0.3, N), 4)
y = np.round(rng.normal(0, 1, N), 4)
ends = torch.tensor(lower), torch.tensor(upper)
rust("LOWER", lower)
rust("UPPER", upper)
rust("TARGET", y)
rust("COVERAGE", score(IntervalCoverage(), *ends, torch.tensor(y)))
rust("WIDTH", score(MeanIntervalWidth(), *ends))
rust("INTERVAL_SCORE", score(IntervalScore(coverage=0.8), *ends, torch.tensor(y)))
cqr = ConformalRegCQR(alpha=0.1, model=nn.Identity())
cqr.fit(DataLoader(TensorDataset(torch.stack(ends, 1), torch.tensor(y)), batch_size=N))
rust("CQR", cqr.quantile)
