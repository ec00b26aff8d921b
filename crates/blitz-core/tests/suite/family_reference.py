"""Densities of the prior and posterior families and their expectations, with SciPy.

    python3 -m pip install numpy scipy mpmath
    python3 family_reference.py priors > prior_families.in
    python3 family_reference.py expectations > prior_expectations.in
    python3 family_reference.py posteriors > posterior_families.in
"""

import sys

import mpmath
import numpy as np
from scipy import integrate, stats
from scipy.special import erfc, exp1

TAU, DELTA = 0.5, 1e-3


def horseshoe(w):
    """The horseshoe of scale TAU whose local scales have the density exp(-DELTA²/2λ²) / (1 + λ²)."""
    u = (w**2 / TAU**2 + DELTA**2) / 2
    if u < 500:
        log_scaled = u + np.log(exp1(u))
    else:  # where SciPy's exp1 underflows
        log_scaled = float(mpmath.log(mpmath.e1(u)) + u)
    log_z = np.log(TAU * np.sqrt(2 * np.pi**3) * erfc(DELTA / np.sqrt(2))) + DELTA**2 / 2
    return log_scaled - log_z


def horseshoe_derivative(w):
    u = mpmath.mpf((w**2 / TAU**2 + DELTA**2) / 2)
    return float(w / TAU**2 * (1 - 1 / (u * mpmath.exp(u) * mpmath.e1(u))))


def by_hierarchy(w):
    """The same density as the integral over the local scales."""
    local = lambda s: np.exp(-(DELTA**2) / 2 / np.exp(2 * s)) / (1 + np.exp(2 * s)) * np.exp(s)
    normalizer = integrate.quad(local, -12, 20, limit=500, epsabs=0)[0]
    joint = lambda s: local(s) * stats.norm.pdf(w, scale=TAU * np.exp(s))
    return np.log(integrate.quad(joint, -12, 20, limit=500, epsabs=0)[0] / normalizer)


def student_derivative(w, df, scale):
    return -(df + 1) * w / (df * scale**2 + w**2)


PRIORS = {
    "laplace": (lambda w: stats.laplace.logpdf(w, scale=0.5), lambda w: -np.sign(w) / 0.5),
    "student_t": (
        lambda w: stats.t.logpdf(w, 3.5, scale=0.5),
        lambda w: student_derivative(w, 3.5, 0.5),
    ),
    "cauchy": (lambda w: stats.cauchy.logpdf(w, scale=0.1), lambda w: student_derivative(w, 1, 0.1)),
    "horseshoe": (horseshoe, horseshoe_derivative),
}


def priors():
    for w in [3e-4, 0.1, 2.0]:
        assert abs(by_hierarchy(w) - horseshoe(w)) < 1e-6, w
    print("[")
    for name, (log_density, derivative) in PRIORS.items():
        for value in [0.0, 1e-6, -4e-4, 0.02, -0.3, 0.49, 0.72, 1.0, -7.0, 25.0, -50.0]:
            w = float(np.float32(value))
            print(f'    ("{name}", {value!r}, {float(log_density(w))!r}, {float(derivative(w))!r}),')
    print("]")


def expectations():
    """E|w| under normals and Laplace distributions of mean m and deviation s."""
    print("[")
    for m, s in [(0.0, 1.0), (0.3, 0.2), (-2.0, 0.5), (1.5, 4.0), (-0.4, 1e-3)]:
        for name, q in [("normal", stats.norm(m, s)), ("laplace", stats.laplace(m, s / np.sqrt(2)))]:
            tail = lambda t: q.sf(t) + q.cdf(-t)  # P(|w| > t)
            points = [p for p in [abs(m), abs(m) - 6 * s, abs(m) + 6 * s] if p > 0]
            value = integrate.quad(tail, 0, abs(m) + 30 * s, points=points, limit=500)[0]
            print(f'    ("{name}", {m!r}, {s!r}, {float(value)!r}),')
    print("]")


# As in posterior_families.rs.
MU = 0.1 * np.arange(6) - 0.2
WEIGHT = np.array([0.3, -0.5, 0.25, 0.1, -0.9, 0.7])
RHO = 0.4 * np.arange(6) - 1.5
FACTOR = np.sin(np.arange(12)).reshape(6, 2)
softplus = lambda x: np.log1p(np.exp(x))


def posteriors():
    scale = softplus(RHO)
    covariance = np.diag(scale**2) + FACTOR @ FACTOR.T
    low_rank = stats.multivariate_normal(MU, covariance)
    rows, columns = softplus(RHO[:2]), softplus(RHO[2:5])
    # Column j of the 2 × 3 weight is normal with the covariance L_j L_jᵀ, L_j = diag(σ) (I + N_j).
    by_column = []
    for j, n in enumerate(FACTOR.reshape(3, 2, 2)):
        factor = np.diag(scale.reshape(2, 3)[:, j]) @ (np.eye(2) + np.tril(n, -1))
        column = stats.multivariate_normal(MU.reshape(2, 3)[:, j], factor @ factor.T)
        by_column.append((column.logpdf(WEIGHT.reshape(2, 3)[:, j]), column.entropy()))
    matrix = stats.matrix_normal(MU.reshape(2, 3), np.diag(rows**2), np.diag(columns**2))
    values = {
        "laplace": (
            stats.laplace.logpdf(WEIGHT, MU, scale).sum(),
            stats.laplace.entropy(MU, scale).sum(),
        ),
        "student_t": (
            stats.t.logpdf(WEIGHT, 4.5, MU, scale).sum(),
            sum(stats.t.entropy(4.5, m, s) for m, s in zip(MU, scale)),
        ),
        "low_rank": (low_rank.logpdf(WEIGHT), low_rank.entropy()),
        "full_rank": tuple(np.sum(by_column, axis=0)),
        "matrix": (matrix.logpdf(WEIGHT.reshape(2, 3)), matrix.entropy()),
    }
    print("[")
    for name, (log_density, entropy) in values.items():
        print(f'    ("{name}", {float(log_density)!r}, {float(entropy)!r}),')
    print("]")


globals()[sys.argv[1]]()
