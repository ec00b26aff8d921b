"""Log densities, distribution functions and quantiles of the predictive components, by SciPy.

    python3 distributions_reference.py

Writes the tables of `distributions.rs`: parameters, argument, log density, distribution function, for each family, and
then probabilities with their quantiles. SciPy's own log probabilities of counts cancel to some ten digits at
large counts.
"""

from scipy import stats

ps = [0.001, 0.1, 0.5, 0.9, 0.999]


def table(name, dist, params, ys, log="logpdf"):
    print(f"#[rustfmt::skip]\nconst {name}: &[(&[f64], f64, f64, f64)] = &[")
    for p in params:
        for y in ys:
            d = dist(*p)
            args = ", ".join(repr(float(v)) for v in p)
            print(f"    (&[{args}], {float(y)!r}, {float(getattr(d, log)(y))!r}, {float(d.cdf(y))!r}),")
    print("];")
    print(f"#[rustfmt::skip]\nconst {name}_QUANTILES: &[(&[f64], f64, f64)] = &[")
    for p in params:
        for q in ps:
            args = ", ".join(repr(float(v)) for v in p)
            print(f"    (&[{args}], {q!r}, {float(dist(*p).ppf(q))!r}),")
    print("];")


table("NORMAL", lambda m, s: stats.norm(m, s), [(0.5, 2.0)], [-40.0, 0.5, 3.0])
table("LAPLACE", lambda m, b: stats.laplace(m, b), [(-1.0, 0.5)], [-30.0, -1.0, 0.7])
table("STUDENT_T", lambda m, s, nu: stats.t(nu, m, s), [(0.5, 2.0, 0.7), (0.5, 2.0, 4.0), (0.5, 2.0, 300.0)], [-40.0, 0.5, 3.0])
table("BERNOULLI", lambda l: stats.bernoulli(1 / (1 + 2.718281828459045**-l)), [(-1.5,), (3.0,)], [0.0, 1.0], "logpmf")
table("POISSON", lambda m: stats.poisson(m), [(0.03,), (4.5,), (20000.0,)], [0.0, 3.0, 19900.0], "logpmf")
table(
    "NEGATIVE_BINOMIAL",
    lambda m, a: stats.nbinom(1 / a, 1 / (1 + a * m)),
    [(4.5, 2.0), (4.5, 0.01), (300.0, 0.5), (20000.0, 1e-4)],
    [0.0, 3.0, 250.0, 19900.0],
    "logpmf",
)
