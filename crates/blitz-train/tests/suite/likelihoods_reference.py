"""Negative log likelihoods at ordinary and extreme arguments, by mpmath (120 digits).

    python3 likelihoods_reference.py

Writes the tables of `likelihoods.rs`: parameters, output, target, nll.
"""

from mpmath import mp, mpf, exp, log, log1p, loggamma, pi

mp.dps = 120


def student(nu, scale, f, y):
    z = (mpf(y) - f) / scale
    nu = mpf(nu)
    return -(loggamma((nu + 1) / 2) - loggamma(nu / 2) - log(nu * pi) / 2 - log(mpf(scale)) - (nu + 1) / 2 * log1p(z * z / nu))


def poisson(f, y):
    return exp(mpf(f)) - mpf(y) * f + loggamma(mpf(y) + 1)


def negative_binomial(alpha, f, y):
    r, mu, y = 1 / mpf(alpha), exp(mpf(f)), mpf(y)
    return -(loggamma(y + r) - loggamma(r) - loggamma(y + 1) + r * log(r / (r + mu)) + y * log(mu / (r + mu)))


def table(name, f, rows):
    print(f"#[rustfmt::skip]\nconst {name}: &[(&[f64], f64, f64, f64)] = &[")
    for params, out, y in rows:
        value = float(f(*[mpf(p) for p in params], mpf(out), mpf(y)))
        print(f"    (&[{', '.join(repr(float(p)) for p in params)}], {float(out)!r}, {float(y)!r}, {value!r}),")
    print("];")


# All arguments are exact in f32.
table(
    "STUDENT_T",
    student,
    [
        ((nu, s), f, y)
        for nu in [0.125, 1, 4, 128, 2.0**20, 2.0**40]
        for s, f, y in [(1, 0, 0), (0.5, 1, 3), (2, -0.5, 2.0**12), (1, 0, 2.0**66)]
        if not (nu > 1e3 and y > 1e6)
    ],
)
table(
    "POISSON",
    poisson,
    [((), f, y) for f, y in [(-80, 0), (-80, 1), (0, 0), (0, 1), (1.5, 7), (5, 150), (10, 22000), (13.75, 2.0**20), (14, 2.0**20), (39, 3), (20, 0)]],
)
table(
    "NEGATIVE_BINOMIAL",
    negative_binomial,
    [
        ((a,), f, y)
        for a in [2.0**-40, 2.0**-20, 0.0625, 1, 1024]
        for f, y in [(-80, 0), (-80, 1), (0.5, 0), (1.5, 7), (5, 150), (14, 2.0**20), (39, 3), (-20, 2.0**20)]
    ],
)
