"""The coefficients of Mills' ratio in moments.rs: Φ(−a) / φ(a) as a polynomial of t = 1 / (1 + a / 2).

    pip install numpy==2.4.6 scipy==1.17.1
    python mills.py

Least squares of the relative error over 0 ≤ a ≤ 14, with weights that level it (Lawson). Prints the coefficients, the lowest first, and the largest relative error in f64.
"""

import numpy as np
from scipy.special import erfcx

DEGREE = 10

# Chebyshev's points of t.
low = 1 / (1 + 14 / 2)
x = np.cos(np.linspace(0, np.pi, 4001))
t = low + (1 - low) * (x + 1) / 2
a = 2 * (1 / t - 1)
ratio = np.sqrt(np.pi / 2) * erfcx(a / np.sqrt(2))

columns = np.stack([t ** (k + 1) / ratio for k in range(DEGREE)], 1)
weights = np.ones_like(t)
best = None
for _ in range(2000):
    root = np.sqrt(weights)[:, None]
    solution = np.linalg.lstsq(root * columns, root[:, 0], rcond=None)[0]
    error = np.abs(columns @ solution - 1)
    if best is None or error.max() < best[0]:
        best = (error.max(), solution)
    weights = weights * error
    weights /= weights.sum()
print(", ".join(f"{c:.9g}" for c in best[1]))
print(f"{best[0]:.1e}")
