"""Quantiles, distribution function and log density of a mixture of normals, by SciPy's root finder.

    python3 normal_mixture_reference.py
"""

import numpy as np
from scipy.optimize import brentq
from scipy.special import logsumexp
from scipy.stats import norm

MEANS, NOISE = np.array([-1.0, 0.5, 4.0]), 0.8


def cdf(y):
    return norm.cdf(y, MEANS, NOISE).mean()


for p in [0.001, 0.025, 0.125, 0.5, 0.875, 0.975, 0.999]:
    print("quantile", p, brentq(lambda y: cdf(y) - p, -20, 20, xtol=1e-13))
for y in [-3.0, 0.0, 2.2, 60.0]:
    print("cdf", y, cdf(y), "nll", -(logsumexp(norm.logpdf(y, MEANS, NOISE)) - np.log(3)))
