"""Exact Bayesian linear regression, and the softmax and diagonal Laplace approximations, by NumPy and SciPy.

    python3 laplace_reference.py
"""

import numpy as np
from scipy import stats
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax

np.set_printoptions(precision=15, linewidth=150)
i = np.arange(12)[:, None]
j = np.arange(2)[None]
X = ((7 * i + 3 * j * j + i * j) % 11) / 4 - 1.25
Y = ((5 * i + 3 * j) % 7) / 4 - 0.5 + X[:, :1]
labels = (2 * i[:, 0] + 1) % 3
P = np.hstack([X, np.ones((12, 1))])
query = np.array([0.5, -2.0, 1.0])

# Regression: conjugate posterior, predictive and marginal likelihood.
def regression(lam, s2):
    A = P.T @ P / s2 + lam * np.eye(3)
    return np.linalg.solve(A, P.T @ Y / s2), np.linalg.inv(A)

# The marginal likelihood of the observations themselves: y ~ N(0, ΦΦᵀ/λ + σ² I).
def evidence(lam, s2):
    cov = P @ P.T / lam + s2 * np.eye(12)
    return sum(stats.multivariate_normal(np.zeros(12), cov).logpdf(y) for y in Y.T)

mean, cov = regression(0.5, 0.25)
print("mean", mean.T.ravel())
print("covariance", cov.ravel())
print("predictive", query @ mean, np.sqrt(query @ cov @ query + 0.25))
print("evidence", evidence(0.5, 0.25))
best = minimize_scalar(lambda l: -evidence(np.exp(l), 0.25), bounds=(-8, 8), method="bounded", options={"xatol": 1e-10})
print("best precision", np.exp(best.x), -best.fun)
both = minimize(lambda v: -evidence(*np.exp(v)), [0, 0], method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-14, "maxiter": 4000})
print("best precision and noise std", np.exp(both.x[0]), np.exp(both.x[1] / 2), -both.fun)

# Softmax, about fixed weights.
W = np.array([[0.5, -0.25, 0.0], [0.25, 0.5, -1.0], [0.125, 0.0, -0.5]])
logp = log_softmax(P @ W, axis=1)
p = np.exp(logp)
H = sum(np.kron(np.diag(q) - np.outer(q, q), np.outer(f, f)) for q, f in zip(p, P))
S = np.linalg.inv(H + 0.5 * np.eye(9))
J = np.kron(np.eye(3), query)
print("softmax variances", np.diag(J @ S @ J.T), "S[0, 0], S[1, 4], S[2, 8]", S[0, 0], S[1, 4], S[2, 8])
print("softmax evidence", logp[np.arange(12), labels].sum() - 0.25 * (W**2).sum() + 4.5 * np.log(0.5) - 0.5 * np.linalg.slogdet(H + 0.5 * np.eye(9))[1])
blocks = [np.linalg.inv(P.T @ (P * (q * (1 - q))[:, None]) + 0.5 * np.eye(3)) for q in p.T]
print("per class variances", [query @ b @ query for b in blocks])

# Diagonal, of the same softmax: the gradient of an example is φ (p − e_y).
G = (P[:, :, None] * (p - np.eye(3)[labels])[:, None, :]) ** 2
F = G.sum(0)
print("diagonal variances, weight and bias", 1 / (F + 0.5).ravel())
print("diagonal evidence", logp[np.arange(12), labels].sum() - 0.25 * (W**2).sum() - 0.5 * np.log1p(F / 0.5).sum())

# Regression with a noise of its own in each output.
A = [P.T @ P / s**2 + 0.5 * np.eye(3) for s in (0.5, 0.8)]
means = [np.linalg.solve(a, P.T @ y / s**2) for a, y, s in zip(A, Y.T, (0.5, 0.8))]
print("means", np.concatenate(means), "variances", [query @ np.linalg.inv(a) @ query for a in A])
def evidences(lam, *s2):
    cov = [P @ P.T / lam + s * np.eye(12) for s in s2]
    return sum(stats.multivariate_normal(np.zeros(12), c).logpdf(y) for c, y in zip(cov, Y.T))
print("evidence", evidences(0.5, 0.25, 0.64))
each = minimize(lambda v: -evidences(*np.exp(v)), [0, 0, 0], method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-14, "maxiter": 8000, "maxfev": 8000})
print("best precision and noise stds", np.exp(each.x[0]), np.exp(each.x[1:] / 2), -each.fun)

# Two logits.
V = W[:, :2]
z = P @ V
t = ((2 * i + j) % 3 == 1).astype(float)
q = 1 / (1 + np.exp(-z))
S2 = [np.linalg.inv(P.T @ (P * (c * (1 - c))[:, None]) + 0.5 * np.eye(3)) for c in q.T]
print("bernoulli covariance", S2[0].ravel(), "variances", [query @ s @ query for s in S2])
loglik = (t * z - np.logaddexp(0, z)).sum()
print("bernoulli evidence", loglik - 0.25 * (V**2).sum() + 3 * np.log(0.5) + 0.5 * sum(np.linalg.slogdet(s)[1] for s in S2))
