"""Convergence diagnostics of small sets of chains by ArviZ.

    pip install "arviz<1" numpy
    python3 convergence_reference.py > convergence_reference.rs

Writes the draws, rounded so that there are ties, and what `convergence.rs` expects of them.
"""

import arviz
import numpy as np
from arviz.stats.diagnostics import _bfmi, _ess_bulk, _ess_tail, _rhat_rank

rng = np.random.default_rng(7)


def autoregressive(chains, draws, phi, shift=0.0, digits=3):
    x = np.zeros((chains, draws))
    state = rng.normal(size=chains)
    for i in range(draws):
        state = phi * state + np.sqrt(1 - phi**2) * rng.normal(size=chains)
        x[:, i] = state
    return np.round(x + shift * np.arange(chains)[:, None], digits)


sets = {
    "MIXING": autoregressive(4, 100, 0.6),
    "SWINGING": autoregressive(4, 60, -0.7),
    "APART": autoregressive(3, 51, 0.3, shift=1.5),
    "OF_DIFFERENT_SPREAD": np.round(autoregressive(3, 40, 0.2) * np.array([[0.1], [1.0], [10.0]]), 3),
    "HEAVY_TAILED": np.round(np.tan(autoregressive(4, 80, 0.5, digits=8)), 3),
    "WITH_TIES": autoregressive(2, 75, 0.8, digits=0),
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
