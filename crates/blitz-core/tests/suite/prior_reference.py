"""Log density of Blundell's scale mixture and its derivative, in double precision with SciPy's logsumexp.

    python3 prior_reference.py > prior_reference.in
"""

import numpy as np
from scipy.special import logsumexp
from scipy.stats import norm

PI, SIGMA1, SIGMA2 = 0.25, 1.0, np.exp(-6.0)


def log_density(w):
    return logsumexp(
        [np.log(PI) + norm.logpdf(w, scale=SIGMA1), np.log(1 - PI) + norm.logpdf(w, scale=SIGMA2)]
    )


def derivative(w):
    wide = np.log(PI) + norm.logpdf(w, scale=SIGMA1)
    share = np.exp(wide - log_density(w))  # responsibility of the wide component
    return -w * (share / SIGMA1**2 + (1 - share) / SIGMA2**2)


print("[")
for value in [0.0, 1e-3, -5e-3, 0.012, 0.1, -1.0, 10.0, -50.0]:
    w = float(np.float32(value))
    print(f"    ({value!r}, {float(log_density(w))!r}, {float(derivative(w))!r}),")
print("]")
