"""Probabilities beyond, the distribution functions of Poissons and quantiles near 1, by mpmath.

    python3 survival_reference.py > survival_reference.rs

Parameters and arguments are the numbers that they are in `f64`.
"""

from mpmath import betainc, erfc, exp, findroot, gammainc, log, loggamma, mp, mpf, sqrt

mp.dps = 40


def gamma_tails(a, x):
    """P(a, x) and Q(a, x), by the series of the lower one."""
    term = total = mpf(1)
    n = 0
    while term > total * mpf(10) ** -38:
        n += 1
        term *= x / (a + n)
        total += term
    lower = total * exp(a * log(x) - x - loggamma(a + 1))
    return lower, 1 - lower


normal = lambda m, s, y: erfc((y - m) / s / sqrt(mpf(2))) / 2
laplace = lambda m, b, y: exp(-(y - m) / b) / 2


def student_t(m, s, nu, y):
    z = (y - m) / s
    return betainc(nu / 2, mpf(1) / 2, 0, nu / (nu + z * z), regularized=True) / 2


def negative_binomial(mean, dispersion, y):
    log_mean, r = mpf(float(log(mean))), 1 / dispersion
    mean = exp(log_mean)
    return betainc(y + 1, r, 0, mean / (r + mean), regularized=True)


def table(name, f, cases):
    print(f"pub const {name}: &[(&[f64], f64, f64)] = &[")
    for *parameters, y in cases:
        value = f(*map(mpf, parameters), mpf(y))
        print(f"    (&[{', '.join(repr(float(p)) for p in parameters)}], {float(y)!r}, {float(value)!r}),")
    print("];")


print("//! Printed by `survival_reference.py`.\n")
print("/// The logarithm of the rate, y, P(Y ≤ y) and P(Y > y).")
print("pub const POISSON_TAILS: &[(f64, f64, f64, f64)] = &[")
for rate in [0.05, 1.6, 20, 3e3, 2e4, 9e5]:
    for y in sorted({max(round(rate + deviations * rate**0.5), 0) for deviations in [-4, -1, 0, 0.001, 1, 6]}):
        log_rate = float(log(mpf(rate)))
        above, below = gamma_tails(mpf(y) + 1, exp(mpf(log_rate)))
        print(f"    ({log_rate!r}, {float(y)!r}, {float(below)!r}, {float(above)!r}),")
print("];\n")
print("/// Parameters, y and P(Y > y).")
table("NORMAL_BEYOND", normal, [(0.5, 2.0, 0.75), (0.5, 2.0, 40.0)])
table("LAPLACE_BEYOND", laplace, [(-1.0, 0.5, 0.75), (-1.0, 0.5, 30.0)])
table("STUDENT_T_BEYOND", student_t, [(0.5, 2.0, 0.7, 1e9), (0.5, 2.0, 4.0, 1e5), (0.5, 2.0, 300.0, 40.0)])
table("NEGATIVE_BINOMIAL_BEYOND", negative_binomial, [(4.5, 2.0, 7.0), (4.5, 2.0, 300.0), (300.0, 0.5, 4000.0)])

survival = lambda y: (normal(mpf(0), 1, y) + normal(mpf(0.1), 1, y)) / 2
print("\n/// Of the mixture of N(0, 1) and N(0.1, 1): p and its quantile.")
print("pub const UPPER_QUANTILES: &[(f64, f64)] = &[")
for p in [0.75, 0.999, 1 - 1e-9, 0.99999999999999, 1 - 2**-52]:
    q = findroot(lambda y: log(survival(y)) - log(1 - mpf(p)), 2 if p < 0.9999 else 7)
    print(f"    ({p!r}, {float(q)!r}),")
print("];\n")
q = findroot(lambda y: (exp(-y) + exp(-1.5 * y)) / 2 * mpf(2) ** 50 - 1, 34)
print("/// Where half e^−y and half e^−1.5y are 2⁻⁵⁰ together.")
print(f"pub const WAITING_QUANTILE: f64 = {float(q)!r};")
