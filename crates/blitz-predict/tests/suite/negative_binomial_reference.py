"""The distribution function of negative binomials with large counts, by mpmath.

    python3 negative_binomial_reference.py

Writes `negative_binomial_reference.rs`: the logarithm of the mean, the dispersion, the count, and I_x(r, y + 1) as the integral of the Beta density over
fifty digits, from forty deviations below x.
"""

from mpmath import exp, log, loggamma, mp, mpf, quad, sqrt

mp.dps = 50


def cdf(log_mean, dispersion, y):
    r, mean = 1 / mpf(dispersion), exp(mpf(log_mean))
    a, b = r, mpf(y) + 1
    x = r / (r + mean)
    total = loggamma(a + b) - loggamma(a) - loggamma(b)
    deviation = sqrt(a * b / (a + b) ** 3)

    def density(t):
        return exp(total + (a - 1) * log(t) + (b - 1) * log(1 - t)) if 0 < t < 1 else mpf(0)

    low = max(x - 40 * deviation, mpf(0))
    steps = 80
    return quad(density, [low + (x - low) * k / steps for k in range(steps + 1)])


print("//! Printed by `negative_binomial_reference.py`.\n")
print("pub const CDF: &[(f64, f64, f64, f64)] = &[")
for mean in [2e2, 3e4, 9e5, 1.1e6, 1.2e7, 1e8, 1e10, 1e13, 1e15]:
    for relative in [1e-3, 0.1, 1.0, 30.0]:
        dispersion = relative / mean
        if dispersion < 1e-15:
            continue
        spread = (mean + dispersion * mean * mean) ** 0.5
        for deviations in [-4.0, -1.0, 0.0, 1e-3, 2.0]:
            y = float(round(mean + deviations * spread))
            if y < 0:
                continue
            log_mean = float(log(mpf(mean)))
            print(f"    ({log_mean!r}, {dispersion!r}, {y!r}, {float(cdf(log_mean, dispersion, y))!r}),")
print("];")
