"""Convergence diagnostics of small sets of chains by ArviZ.

    pip install "arviz<1" numpy
    python3 convergence_reference.py > convergence_reference.rs

Writes the draws, rounded so that there are ties, and what `convergence.rs` expects of them. They are binary fractions, whose distances from the median
are exact: ArviZ rounds those of decimal ones, and so parts draws that are equally far from it.
"""

from fractions import Fraction
from statistics import NormalDist

import arviz
import numpy as np
from arviz.stats.diagnostics import _bfmi, _ess_bulk, _ess_tail, _rhat_rank

rng = np.random.default_rng(7)


def rounded(x, bits=10):
    return np.round(x * 2.0**bits) / 2.0**bits


def autoregressive(chains, draws, phi, shift=0.0, bits=10):
    x = np.zeros((chains, draws))
    state = rng.normal(size=chains)
    for i in range(draws):
        state = phi * state + np.sqrt(1 - phi**2) * rng.normal(size=chains)
        x[:, i] = state
    return rounded(x + shift * np.arange(chains)[:, None], bits)


sets = {
    "MIXING": autoregressive(4, 100, 0.6),
    "SWINGING": autoregressive(4, 60, -0.7),
    "APART": autoregressive(3, 51, 0.3, shift=1.5),
    "OF_DIFFERENT_SPREAD": rounded(autoregressive(3, 40, 0.2) * np.array([[0.1], [1.0], [10.0]])),
    "HEAVY_TAILED": rounded(np.tan(autoregressive(4, 80, 0.5, bits=26))),
    "WITH_TIES": autoregressive(2, 75, 0.8, bits=0),
    "SHORT": autoregressive(2, 4, 0.0),
    "NEARLY_SHORT": autoregressive(2, 11, 0.0),
    "OF_ONE_CHAIN": autoregressive(1, 90, 0.5),
}

print("//! Written by `convergence_reference.py`, with ArviZ %s.\n" % arviz.__version__)
print("/// A name, its chains, and what ArviZ says of them.")
print("type Set = (&'static str, &'static [&'static [f64]], [f64; 3]);\n")
print("/// Chains, and their R-hat, bulk and tail effective sample sizes; ArviZ gives no R-hat of one chain.")
print("pub const SETS: [Set; %d] = [" % len(sets))
for name, chains in sets.items():
    rows = ", ".join("&[%s]" % ", ".join(repr(float(v)) for v in chain) for chain in chains)
    r_hat = "f64::NAN" if len(chains) == 1 else repr(float(_rhat_rank(chains)))
    expected = "%s, %r, %r" % (r_hat, float(_ess_bulk(chains)), float(_ess_tail(chains)))
    print('    ("%s", &[%s], [%s]),' % (name.lower().replace("_", " "), rows, expected))
print("];")
print("/// E-BFMI of the first chain of each set.")
energies = ", ".join(repr(float(_bfmi(chains[:1])[0])) for chains in sets.values())
print("pub const E_BFMI: [f64; %d] = [%s];" % (len(sets), energies))


def r_hat_in_fractions(chain):
    """ArviZ's formula, with the distances from the median and their ties as they are without rounding."""
    draws = [Fraction(x) for x in chain]
    middle = sorted(draws)[len(draws) // 2 - 1 : len(draws) // 2 + 1]

    def of(values):
        rank = lambda v: sum(w < v for w in values) + (values.count(v) + 1) / 2
        z = np.array([NormalDist().inv_cdf((rank(v) - 0.375) / (len(values) + 0.25)) for v in values]).reshape(2, -1)
        n = z.shape[1]
        return np.sqrt((n * z.mean(1).var(ddof=1) / z.var(1, ddof=1).mean() + n - 1) / n)

    return max(of(draws), of([abs(2 * x - sum(middle)) for x in draws]))


print("/// Of one chain of four draws.")
print("pub const R_HAT_OF_FOUR: f64 = %r;" % float(r_hat_in_fractions([-1.68486607, 1.46415148, -1.36883743, 1.19565712])))
