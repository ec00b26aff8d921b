"""Moments of functions of normals, by numerical integration in 30 digits.

    pip install mpmath==1.3.0 numpy==2.4.6
    python moments_reference.py

Prints the tables of moments_functions.rs and of moments_covariances.rs.
"""

import math

import numpy as np
from mpmath import exp, mp, mpf, ncdf, npdf, quad, sqrt, tanh

mp.dps = 30

POINTS = [
    (0.0, 1.0),
    (0.7, 0.01),
    (-0.4, 0.5),
    (0.4, 1.0),
    (-3.0, 1.0),
    (2.5, 2.0),
    (-1.0, 3.0),
    (5.0, 0.5),
]

FUNCTIONS = {
    "relu": lambda x: x if x > 0 else mpf(0),
    "leaky_relu": lambda x: x if x > 0 else x / 10,
    "gelu": lambda x: x * ncdf(x),
    "sigmoid": lambda x: 1 / (1 + exp(-x)),
    "silu": lambda x: x / (1 + exp(-x)),
    "tanh": tanh,
}


def expectation(f, m, s):
    """E f(x) for x ~ N(m, s²), in pieces that end at the kink."""
    places = [m + k * s for k in (-14, -8, -4, -2, 0, 2, 4, 8, 14)]
    places = sorted(places + ([mpf(0)] if places[0] < 0 < places[-1] else []))
    return quad(lambda x: f(x) * npdf(x, m, s), places)


def line(values):
    return "    (" + ", ".join(mp.nstr(v, 16) for v in values) + "),"


for name, f in FUNCTIONS.items():
    print(f"const {name.upper()}: [(f64, f64, f64, f64); {len(POINTS)}] = [")
    for m, s in POINTS:
        m, s = mpf(m), mpf(s)
        mean = expectation(f, m, s)
        variance = expectation(lambda x: (f(x) - mean) ** 2, m, s)
        print(line([m, s, mean, sqrt(variance)]))
    print("];")

# The larger of two independent normals has the density p₁ F₂ + p₂ F₁.
PAIRS = [
    (0.0, 1.0, 0.0, 1.0),
    (1.0, 0.5, 0.2, 2.0),
    (-2.0, 0.1, -2.05, 0.02),
    (3.0, 1.0, -3.0, 1.0),
]
print(f"const MAX: [([f64; 4], f64, f64); {len(PAIRS)}] = [")
for m1, s1, m2, s2 in PAIRS:
    numbers = [mpf(x) for x in (m1, s1, m2, s2)]
    a, s, b, t = numbers

    def density(y):
        return npdf(y, a, s) * ncdf(y, b, t) + npdf(y, b, t) * ncdf(y, a, s)

    ends = sorted([a + k * s for k in (-14, -4, 0, 4, 14)] + [b + k * t for k in (-14, -4, 0, 4, 14)])
    mean = quad(lambda y: y * density(y), ends)
    variance = quad(lambda y: (y - mean) ** 2 * density(y), ends)
    listed = ", ".join(mp.nstr(v, 16) for v in numbers)
    print(f"    ([{listed}], {mp.nstr(mean, 16)}, {mp.nstr(sqrt(variance), 16)}),")
print("];")

# Of two correlated normals, E[f(x) f(y)] is the integral of f(x) E[f(y) | x], whose inner integral is in closed form for
# the rectifiers: y given x is a normal.
JOINT = [
    (0.0, 1.0, 0.0, 1.0, 0.5),
    (0.0, 1.0, 0.0, 1.0, -0.9),
    (0.3, 0.5, -0.6, 1.0, 0.8),
    (-0.58, 1.0, -1.16, 2.0, 0.99),
    (2.0, 1.0, -2.0, 1.0, -0.3),
    (-1.0, 2.0, 4.0, 1.0, 0.7),
]


def rectified_mean(m, s, slope):
    return slope * m + (1 - slope) * (m * ncdf(m / s) + s * npdf(m / s))


def joint(f, m1, s1, m2, s2, rho, inner):
    """Cov[f(x), f(y)], of E[f(y)] for normals y by `inner`."""
    given = lambda x: inner(m2 + rho * s2 * (x - m1) / s1, s2 * sqrt(1 - rho**2))
    mean = expectation(f, m1, s1)
    return expectation(lambda x: (f(x) - mean) * given(x), m1, s1)


INNER = {
    "relu": lambda m, s: rectified_mean(m, s, mpf(0)),
    "leaky_relu": lambda m, s: rectified_mean(m, s, mpf(1) / 10),
}
# Of the smooth ones both are by a rule of so many nodes that more change nothing.
SMOOTH = {
    "gelu": lambda x: x * np.vectorize(math.erfc)(-x / math.sqrt(2)) / 2,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "tanh": np.tanh,
}


def joint_by_nodes(f, m1, s1, m2, s2, rho):
    x, weight = np.polynomial.hermite_e.hermegauss(180)
    weight /= weight.sum()
    first = f(m1 + s1 * x)
    first -= weight @ first
    second = m2 + s2 * (rho * x[:, None] + math.sqrt(1 - rho**2) * x)
    return weight @ (first[:, None] * f(second)) @ weight


for name, f in FUNCTIONS.items():
    print(f"const {name.upper()}: [f64; {len(JOINT)}] = [")
    for case in JOINT:
        if name in INNER:
            value = joint(f, *[mpf(str(x)) for x in case], INNER[name])
        else:
            value = joint_by_nodes(SMOOTH[name], *case)
        print(f"    {mp.nstr(mpf(value), 10)},")
    print("];")
