"""Scores of small data sets by scikit-learn, properscoring, MAPIE, SciPy's quadrature, exact fractions and enumeration.

    pip install numpy scipy scikit-learn properscoring mapie
    python3 score_reference.py > score_reference.rs

Writes the data, rounded so that there are ties, and what `scores.rs` expects of them.
"""

from fractions import Fraction
from itertools import permutations, product

import numpy as np
import properscoring
from mapie.metrics.regression import (
    regression_coverage_score,
    regression_mean_width_score,
    regression_mwi_score,
)
from scipy.integrate import quad
from scipy.stats import norm, rankdata
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    f1_score,
    log_loss,
    roc_auc_score,
    roc_curve,
)

rng = np.random.default_rng(11)
print("//! Written by `score_reference.py`.\n")


def rust(name, values):
    if np.ndim(values) == 0:
        print(f"pub const {name}: f64 = {float(values)!r};")
        return
    flat = np.ravel(values)
    kind, cast = ("f64", float) if flat.dtype.kind == "f" else ("usize", int)
    if flat.dtype.kind == "b":
        kind, cast = "bool", lambda v: str(bool(v)).lower()
    items = ", ".join(str(cast(v)) if kind == "bool" else repr(cast(v)) for v in flat)
    print(f"pub const {name}: [{kind}; {len(flat)}] = [{items}];")


# Class probabilities in twentieths, at least one each: many are equal.
N, C, BINS = 40, 4, 7
twentieths = 1 + rng.multinomial(16, rng.dirichlet([0.5] * C, N))
twentieths[30:] = twentieths[:10]  # forecasts that recur
p = twentieths / 20
labels = np.array([rng.choice(C, p=row) for row in p])
rust("PROBABILITIES", p)
rust("LABELS", labels)
rust("CATEGORICAL_NLL", log_loss(labels, p, labels=range(C)))
rust("MACRO_AUROC", roc_auc_score(labels, p, multi_class="ovr", average="macro"))
rust("MACRO_AVERAGE_PRECISION", np.mean([average_precision_score(labels == k, p[:, k]) for k in range(C)]))
rust("MACRO_F1", f1_score(labels, p.argmax(1), average="macro"))
rust("ACCURACY", accuracy_score(labels, p.argmax(1)))
rust("BRIER", brier_score_loss(labels, p, labels=range(C), scale_by_half=False))

# Murphy's decomposition in exact arithmetic.
groups = {}
for row, label in zip(twentieths, labels):
    groups.setdefault(tuple(row), []).append(label)
overall = [Fraction(int((labels == c).sum()), N) for c in range(C)]
reliability = resolution = Fraction(0)
for row, members in groups.items():
    observed = [Fraction(members.count(c), len(members)) for c in range(C)]
    share = Fraction(len(members), N)
    reliability += share * sum((Fraction(int(f), 20) - o) ** 2 for f, o in zip(row, observed))
    resolution += share * sum((o - m) ** 2 for o, m in zip(observed, overall))
rust("RELIABILITY", reliability)
rust("RESOLUTION", resolution)
rust("UNCERTAINTY", sum(o * (1 - o) for o in overall))
assert len(groups) < N


def binned(confidence, outcome):
    which = np.digitize(confidence, np.linspace(0, 1, BINS + 1)[1:-1], right=True)
    return [np.flatnonzero(which == b) for b in range(BINS) if (which == b).any()]


def gap(confidence, outcome, bins):
    return sum(len(b) / len(outcome) * abs(outcome[b].mean() - confidence[b].mean()) for b in bins)


parts = np.zeros(3)
for c in range(C):
    f, o = p[:, c], (labels == c).astype(float)
    for b in binned(f, o):
        parts[0] += len(b) / N * (f[b].mean() - o[b].mean()) ** 2
        parts[1] += len(b) / N * (o[b].mean() - o.mean()) ** 2
        parts[2] += len(b) / N * (f[b].var() - 2 * np.cov(f[b], o[b], ddof=0)[0, 1])
rust("BINNED_PARTS", parts)

confidence, correct = p.max(1), p.argmax(1) == labels
rust("CONFIDENCE", confidence)
rust("CORRECT", correct)
rust("ECE", gap(confidence, correct, binned(confidence, correct)))
which = np.floor(BINS * (rankdata(confidence) - 0.5) / N).astype(int)
rust("ADAPTIVE_ECE", gap(confidence, correct, [np.flatnonzero(which == b) for b in set(which)]))
rust(
    "CLASSWISE_ECE",
    np.mean([gap(p[:, c], labels == c, binned(p[:, c], labels == c)) for c in range(C)]),
)

# Regression.
n, components, draws = 12, 3, 9
mean, std = np.round(rng.normal(0, 2, n), 2), np.round(rng.uniform(0.1, 2, n), 2)
y = np.round(rng.normal(mean, std), 2)
y[0] = mean[0] + 30 * std[0]  # far out
rust("MEAN", mean)
rust("STD", std)
rust("TARGET", y)
rust("NORMAL_NLL", -norm.logpdf(y, mean, std).mean())
rust("RMSE", np.sqrt(((mean - y) ** 2).mean()))
rust("NORMAL_CRPS", properscoring.crps_gaussian(y, mean, std).mean())

means, stds = (
    np.round(rng.normal(0, 2, (n, components)), 2),
    np.round(rng.uniform(0.1, 2, (n, components)), 2),
)
rust("MIXTURE_MEANS", means)
rust("MIXTURE_STDS", stds)


def mixture_crps(m, s, y):
    def distribution(t):
        return norm.cdf(t, m, s).mean()

    below = quad(lambda t: distribution(t) ** 2, -40, y, epsabs=1e-12, limit=500, points=sorted(m[m < y]) or None)
    above = quad(lambda t: (1 - distribution(t)) ** 2, y, 60, epsabs=1e-12, limit=500, points=sorted(m[m > y]) or None)
    return below[0] + above[0]


near = y.copy()
near[0] = 5.0
rust("NEAR_TARGET", near)
rust("MIXTURE_CRPS", np.mean([mixture_crps(m, s, t) for m, s, t in zip(means, stds, near)]))

samples = np.round(rng.normal(0, 2, (n, draws)), 1)
rust("SAMPLES", samples)
rust("SAMPLE_CRPS", properscoring.crps_ensemble(y, samples).mean())
spread = np.abs(samples[:, :, None] - samples[:, None, :]).sum((1, 2))
rust("FAIR_CRPS", (np.abs(samples - y[:, None]).mean(1) - spread / (2 * draws * (draws - 1))).mean())

lower, upper = np.round(norm.ppf(0.1, mean, std), 1), np.round(norm.ppf(0.9, mean, std), 1)
lower[3] = y[3]  # on the end
intervals = np.stack([lower, upper], 1)[:, :, None]
rust("LOWER", lower)
rust("UPPER", upper)
rust("COVERAGE", regression_coverage_score(y, intervals)[0])
rust("SHARPNESS", regression_mean_width_score(intervals)[0])
rust("INTERVAL_SCORE", regression_mwi_score(y, intervals, confidence_level=0.8))

# Selective prediction: every order of the ties, averaged.
sure = np.array([0.9, 0.9, 0.8, 0.7, 0.7, 0.7, 0.4, 0.3, 0.3])
loss = np.array([0.0, 1.0, 0.0, 0.0, 2.5, 1.0, 1.0, 0.0, 3.0])


def mean_curve(sure, loss):
    levels = sorted(set(sure), reverse=True)
    orders = product(*[list(permutations(np.flatnonzero(sure == level))) for level in levels])
    curves = [loss[np.concatenate(order)].cumsum() / np.arange(1, len(loss) + 1) for order in orders]
    return np.mean(curves, axis=0)


curve = mean_curve(sure, loss)
rust("SURE", sure)
rust("LOSS", loss)
rust("RISKS", curve)
rust("AURC", curve.mean())
rust("EXCESS_AURC", curve.mean() - (np.sort(loss).cumsum() / np.arange(1, len(loss) + 1)).mean())

# Out of distribution: scores in tenths tie within and between.
inside, outside = np.round(rng.gamma(2, 0.4, 60), 1), np.round(rng.gamma(4, 0.5, 35), 1)
scores, is_outside = np.concatenate([inside, outside]), np.repeat([0, 1], [60, 35])
rust("INSIDE", inside)
rust("OUTSIDE", outside)
rust("AUROC", roc_auc_score(is_outside, scores))
rust("AUPR_OUT", average_precision_score(is_outside, scores))
rust("AUPR_IN", average_precision_score(1 - is_outside, -scores))
fpr, tpr, _ = roc_curve(1 - is_outside, -scores, drop_intermediate=False)
rust("FPR95", fpr[tpr >= 0.95].min())
