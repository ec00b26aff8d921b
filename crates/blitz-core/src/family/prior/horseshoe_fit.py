"""Coefficients of the two approximations in `horseshoe.rs`:

    E1(x) + ln x   = A(x),          x in [0, 1]
    x e^x E1(x)    = P(y) / Q(y),   y = 1/x in [0, 1],   P(0) = Q(0) = 1,

fitted in the relative error of E1 by iteratively reweighted least squares (Lawson) at Chebyshev points, with mpmath's E1
in 40 digits.

    python3 -m pip install numpy mpmath && python3 horseshoe_fit.py
"""

import mpmath as mp
import numpy as np

mp.mp.dps = 40
DEGREE = 4

y = 0.5 - 0.5 * np.cos(np.pi * (np.arange(400) + 0.5) / 400)
points = [mp.mpf(t) for t in y]

# A, for small x.
e1 = np.array([float(mp.e1(t)) for t in points])
exact = np.array([float(mp.e1(t) + mp.log(t)) for t in points])
powers = np.stack([y**k for k in range(7)], axis=1)
lawson = np.ones_like(y)
best = None
for step in range(300):
    weight = np.sqrt(lawson) / e1
    a = np.linalg.lstsq(powers * weight[:, None], exact * weight, rcond=1e-17)[0]
    error = (powers @ a - exact) / e1
    if best is None or np.abs(error).max() < best[0]:
        best = (np.abs(error).max(), a)
    if step > 20:
        lawson *= np.abs(error)
        lawson /= lawson.sum()
print("A:", [float(c) for c in best[1]])
print("largest relative error:", best[0])

# P and Q, for large x.
exact = np.array([float(mp.e ** (1 / t) * mp.e1(1 / t) / t) for t in points])
powers = np.stack([y**k for k in range(1, DEGREE + 1)], axis=1)

lawson = np.ones_like(y)
denominator = np.ones_like(y)
best = None
for step in range(300):
    # P - h Q = 0, linearized: divided by the last denominator and by h.
    weight = np.sqrt(lawson) / (denominator * exact)
    left = np.concatenate([powers, -exact[:, None] * powers], axis=1) * weight[:, None]
    solution = np.linalg.lstsq(left, (exact - 1.0) * weight, rcond=1e-17)[0]
    p, q = solution[:DEGREE], solution[DEGREE:]
    denominator = 1.0 + powers @ q
    error = (1.0 + powers @ p) / denominator / exact - 1.0
    if best is None or np.abs(error).max() < best[0]:
        best = (np.abs(error).max(), p, q)
    if step > 20:
        lawson *= np.abs(error)
        lawson /= lawson.sum()

worst, p, q = best
print("P:", [1.0] + [float(c) for c in p])
print("Q:", [1.0] + [float(c) for c in q])
print("largest relative error:", worst)
