"""Mixtures of categorical distributions by SciPy, and their calibration error by scikit-learn's binning.

    python3 categorical_mixture_reference.py

Writes the logits of three draws, rounded so that they can be typed, and what `categorical_mixture.rs` expects of them.
"""

import numpy as np
from scipy.special import log_softmax, logsumexp
from scipy.stats import entropy
from sklearn.metrics import log_loss

rng = np.random.default_rng(3)
S, N, C = 3, 8, 4
logits = np.round(rng.normal(0, 2, (S, N, C)), 2)
logits[2, 0] = [800.0, -800.0, 0.0, 1.0]  # a draw that is as sure as can be
labels = rng.integers(0, C, N)

log_draws = log_softmax(logits, axis=2)
log_p = logsumexp(log_draws, axis=0) - np.log(S)
p = np.exp(log_p)
total = entropy(p, axis=1)
expected = entropy(np.exp(log_draws), axis=2).mean(axis=0)
confidence, correct = p.max(axis=1), p.argmax(axis=1) == labels

bins, ece = 15, 0.0
which = np.digitize(confidence, np.linspace(0, 1, bins + 1)[1:-1], right=True)
for b in range(bins):
    inside = which == b
    if inside.any():
        ece += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())

assert abs(log_loss(labels, p, labels=range(C)) + log_p[range(N), labels].mean()) < 1e-9


def rust(name, kind, values):
    print(f"const {name}: [{kind}; {len(values)}] = [{', '.join(repr(v) for v in values)}];")


for s in range(S):
    rust(f"DRAW_{s}", "f64", [float(v) for v in logits[s].ravel()])
rust("LABELS", "usize", [int(v) for v in labels])
rust("NLL", "f64", [float(-v) for v in log_p[range(N), labels]])
rust("ENTROPY", "f64", [float(v) for v in total])
rust("MUTUAL_INFORMATION", "f64", [float(v) for v in total - expected])
rust("CONFIDENCE", "f64", [float(v) for v in confidence])
print(f"const ACCURACY: f64 = {float(correct.mean())!r};\nconst ECE: f64 = {float(ece)!r};")
