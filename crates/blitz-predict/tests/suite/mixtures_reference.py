"""Highest-density intervals and mixture quantiles, by SciPy.

    python3 mixtures_reference.py
"""

import numpy as np
from scipy import stats
from scipy.optimize import brentq, minimize_scalar

# The shortest interval of a skewed mixture: 3/4 N(0, 1), as three draws, and N(4, 3).
parts = [(0, 1), (0, 1), (0, 1), (4, 3)]
cdf = lambda y: np.mean([stats.norm.cdf(y, m, s) for m, s in parts])
ppf = lambda p: brentq(lambda y: cdf(y) - p, -60, 60, xtol=1e-13)
for level in [0.5, 0.9]:
    width = lambda p: ppf(p + level) - ppf(p)
    p = minimize_scalar(width, bounds=(1e-9, 1 - level - 1e-9), method="bounded", options={"xatol": 1e-10}).x
    print("hdi", level, ppf(p), ppf(p + level), "width", width(p))

# The shortest set of counts that holds 90 %, by trying all.
pmf = stats.poisson.pmf(np.arange(200), 4.5)
best = min((b - a, -pmf[a : b + 1].sum(), a, b) for a in range(60) for b in range(a, 60) if pmf[a : b + 1].sum() >= 0.9)
print("poisson hdi", best)

print("mixture of Poisson(2) and Poisson(30):", [next(k for k in range(200) if 0.5 * (stats.poisson.cdf(k, 2) + stats.poisson.cdf(k, 30)) >= p) for p in [0.01, 0.25, 0.5, 0.75, 0.99]])
student = [(0, 1, 3), (2, 0.5, 3)]
scdf = lambda y: np.mean([stats.t.cdf(y, nu, m, s) for m, s, nu in student])
print("student", [brentq(lambda y: scdf(y) - p, -100, 100, xtol=1e-13) for p in [0.01, 0.5, 0.975]])
