"""Calibrators by SciPy's minimizers, scikit-learn's isotonic regression and the code of Angelopoulos & Bates' tutorial on
conformal prediction (arXiv 2107.07511).

    pip install numpy scipy scikit-learn
    python3 calibration_reference.py > calibration_reference.rs

Writes the data and what `calibration.rs` and `conformal.rs` expect of them.
"""

from fractions import Fraction
from math import ceil

import numpy as np
from scipy.optimize import brentq, minimize
from scipy.special import log_softmax, softmax
from scipy.stats import rankdata
from sklearn.isotonic import IsotonicRegression

rng = np.random.default_rng(12)
print("//! Written by `calibration_reference.py`.\n")


def rust(name, values):
    if np.ndim(values) == 0:
        print(f"pub const {name}: f64 = {float(values)!r};")
        return
    flat = np.ravel(values)
    kind, cast = ("f64", float) if flat.dtype.kind == "f" else ("usize", int)
    print(f"pub const {name}: [{kind}; {len(flat)}] = [{', '.join(repr(cast(v)) for v in flat)}];")


# Overconfident logits.
N, C = 60, 3
truth = rng.normal(0, 1, (N, C))
labels = np.array([rng.choice(C, p=row) for row in softmax(truth, 1)])
logits = np.round(2.5 * truth + [0.5, 0.0, -1.0] + rng.normal(0, 0.5, (N, C)), 2)
assert all((labels == c).any() for c in range(C))
rust("LOGITS", logits)
rust("LABELS", labels)


def slope(inverse):  # of the NLL in 1/T
    p = softmax(inverse * logits, 1)
    return ((p * logits).sum(1) - logits[range(N), labels]).mean()


temperature = 1 / brentq(slope, 1e-3, 10, xtol=1e-15)
rust("TEMPERATURE", temperature)
rust("SCALED", softmax(logits / temperature, 1)[:4])


def nll(parameters):
    a, b = parameters[:C], np.append(parameters[C:], -parameters[C:].sum())
    z = a * logits + b
    error = softmax(z, 1)
    error[range(N), labels] -= 1
    gradient = np.concatenate([(error * logits).sum(0), error[:, :-1].sum(0) - error[:, -1].sum()])
    return -log_softmax(z, 1)[range(N), labels].sum(), gradient


best = minimize(nll, np.append(np.ones(C), np.zeros(C - 1)), jac=True, method="BFGS", options={"gtol": 1e-10})
assert np.abs(best.jac).max() < 1e-6, best
rust("SCALE", best.x[:C])
rust("OFFSET", np.append(best.x[C:], -best.x[C:].sum()))

# Isotonic, with ties.
x = np.round(rng.uniform(0, 1, 50), 1)
y = np.round(x**2 + rng.normal(0, 0.3, 50), 2)
grid = np.linspace(-0.2, 1.2, 29)
rust("ISOTONIC_X", x)
rust("ISOTONIC_Y", y)
rust("ISOTONIC_GRID", grid)
rust("ISOTONIC_FIT", IsotonicRegression(out_of_bounds="clip").fit(x, y).predict(grid))

p = softmax(logits, 1)
rust("PROBABILITIES", p)
fitted = np.stack([IsotonicRegression(out_of_bounds="clip").fit(p[:, c], labels == c).predict(p[:, c]) for c in range(C)], 1)
assert (fitted.sum(1) > 0).all()
rust("ISOTONIC_CLASSES", fitted / fitted.sum(1, keepdims=True))

# Recalibrated distributions.
pit = np.round(rng.beta(2, 3, 40), 2)
rust("PIT", pit)
ranks = rankdata(pit, method="max") / (len(pit) + 1)
fit = IsotonicRegression(out_of_bounds="clip").fit(np.concatenate([[0], pit, [1]]), np.concatenate([[0], ranks, [1]]))
rust("RECALIBRATED", fit.predict(np.linspace(0, 1, 11)))
rust("RECALIBRATED_90", brentq(lambda q: fit.predict([q])[0] - 0.9, 0, 1, xtol=1e-15))


def quantile(scores, percent):
    # The definition. The tutorial's np.quantile(..., method="higher") is one rank further: it counts from the first of n - 1 steps.
    rank = ceil(Fraction(percent, 100) * (len(scores) + 1))
    return np.sort(scores)[rank - 1]


# Conformal regression.
n = 37
mean, std = np.round(rng.normal(0, 2, n), 2), np.round(rng.uniform(0.2, 2, n), 2)
target = np.round(rng.normal(mean, 1.5 * std), 2)
lower, upper = np.round(mean - 0.8 * std, 2), np.round(mean + 1.1 * std, 2)
rust("MEAN", mean)
rust("STD", std)
rust("TARGET", target)
rust("LOWER", lower)
rust("UPPER", upper)
for level in [80, 90]:
    rust(f"RADIUS_{level}", quantile(np.abs(target - mean), level))
    rust(f"FACTOR_{level}", quantile(np.abs(target - mean) / std, level))
    rust(f"CORRECTION_{level}", quantile(np.maximum(lower - target, target - upper), level))


# Sets, without randomization; RAPS with lambda 0.1 beyond one class.
def sets(name, penalty, free, level):
    order = p.argsort(1)[:, ::-1]
    cumulative = (np.take_along_axis(p, order, 1) + penalty * (np.arange(C) >= free)).cumsum(1)
    by_class = np.take_along_axis(cumulative, order.argsort(1), 1)
    threshold = quantile(by_class[range(N), labels], level)
    rust(f"{name}_THRESHOLD", threshold)
    # Each set as a number with one bit for a class.
    rust(f"{name}_SETS", ((by_class <= threshold + 1e-12) * 2 ** np.arange(C)).sum(1))


sets("APS", 0.0, 0, 70)
sets("RAPS", 0.1, 1, 70)
