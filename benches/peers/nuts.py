"""The posterior of 13 -> 50 -> 1 for the Boston data by numpyro's NUTS, in f64: what `benches/src/bin/nuts.rs` runs with blitz.

The rows, the scaling, the priors, the likelihood and the numbers of draws are the same, and so is a start near the weights of a layer's usual initialization.
The log density at known weights is printed by both (`known_log_density`) and has to agree. R-hat and the effective sample size are ArviZ's, of the predictive
means of the test rows; they are what blitz computes.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

DATA = Path(__file__).parent / "../../examples/regression/data"
HIDDEN = 50


def rows():
    """Training and test rows of the first published split, scaled by the training rows, and the target's mean and deviation."""
    table = np.loadtxt(DATA / "boston.csv", delimiter=",", skiprows=1)
    test = np.array((DATA / "test_splits.txt").read_text().splitlines()[0].split(), dtype=int)
    train = np.setdiff1d(np.arange(len(table)), test)
    mean, std = table[train].mean(0), table[train].std(0)
    scaled = (table - mean) / std
    return scaled[train], scaled[test], mean[-1], std[-1]


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--chains", type=int, default=4)
    options.add_argument("--warm-up", type=int, default=1000)
    options.add_argument("--draws", type=int, default=1000)
    options.add_argument("--max-depth", type=int, default=10)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--chain-method", default="parallel", help="parallel, sequential or vectorized")
    options.add_argument("--gradients", type=int, default=2000, help="gradients that are timed before the chains")
    args = options.parse_args()

    import numpyro

    numpyro.enable_x64()
    # Without a device for each chain numpyro runs them one after the other.
    numpyro.set_host_device_count(args.chains)
    import arviz
    import jax
    import jax.numpy as jnp
    import numpyro.distributions as dist
    from numpyro.infer import MCMC, NUTS
    from numpyro.infer.util import log_density

    train, test, mean, std = rows()
    x, y = jnp.asarray(train[:, :-1]), jnp.asarray(train[:, -1])
    features = x.shape[1]

    def net(weights, x):
        hidden = jax.nn.relu(x @ weights["w1"] + weights["b1"])
        return (hidden @ weights["w2"] + weights["b2"])[:, 0], 1e-3 + jnp.exp(weights["s"])

    priors = {
        "w1": ((features, HIDDEN), features**-0.5),
        "b1": ((HIDDEN,), 1.0),
        "w2": ((HIDDEN, 1), HIDDEN**-0.5),
        "b2": ((1,), 1.0),
        "s": ((), 1.0),
    }

    def model(x, y):
        weights = {
            name: numpyro.sample(name, dist.Normal(0.0, scale).expand(shape).to_event(len(shape)))
            for name, (shape, scale) in priors.items()
        }
        f, noise = net(weights, x)
        numpyro.sample("y", dist.Normal(f, noise), obs=y)

    known = {name: jnp.full(shape, 0.1) for name, (shape, _) in priors.items()}
    value = float(log_density(model, (x, y), {}, known)[0])

    gradient = jax.jit(jax.value_and_grad(lambda w: log_density(model, (x, y), {}, w)[0]))
    jax.block_until_ready(gradient(known))
    start = time.perf_counter()
    for _ in range(args.gradients):
        jax.block_until_ready(gradient(known))
    gradient_us = (time.perf_counter() - start) * 1e6 / args.gradients

    key, *keys = jax.random.split(jax.random.PRNGKey(args.seed), 1 + 2 * len(priors))
    # Each weight within 1 of its usual start, a chain at a time.
    starts = {}
    for i, (name, (shape, scale)) in enumerate(priors.items()):
        usual = scale * jax.random.uniform(keys[2 * i], shape, minval=-1.0) if name != "s" else jnp.log(0.3)
        starts[name] = usual + jax.random.uniform(keys[2 * i + 1], (args.chains, *shape), minval=-1.0)

    mcmc = MCMC(
        NUTS(model, max_tree_depth=args.max_depth, target_accept_prob=0.8),
        num_warmup=args.warm_up,
        num_samples=args.draws,
        num_chains=args.chains,
        chain_method=args.chain_method,
        progress_bar=False,
    )
    start = time.perf_counter()
    init = starts if args.chains > 1 else {name: value[0] for name, value in starts.items()}
    mcmc.run(key, x, y, init_params=init, extra_fields=("num_steps", "diverging"))
    draws = jax.block_until_ready(mcmc.get_samples(group_by_chain=True))
    seconds = time.perf_counter() - start

    xt, yt = jnp.asarray(test[:, :-1]), test[:, -1]
    f, noise = jax.jit(jax.vmap(jax.vmap(lambda w: net(w, xt))))(draws)
    f, noise = np.asarray(f), np.asarray(noise)
    data = arviz.convert_to_dataset({"f": f})
    rank = arviz.rhat(data)["f"].values
    ess = arviz.ess(data, method="bulk")["f"].values
    log_p = -0.5 * ((yt - f) / noise[..., None]) ** 2 - np.log(noise[..., None] * np.sqrt(2 * np.pi))
    log_p = np.log(np.mean(np.exp(log_p), axis=(0, 1))) - np.log(std)
    extra = mcmc.get_extra_fields()
    print(
        json.dumps(
            {
                "seconds": seconds,
                "gradient_us": gradient_us,
                "known_log_density": value,
                "leapfrogs_of_draws": int(extra["num_steps"].sum()),
                "divergences": int(extra["diverging"].sum()),
                "largest_r_hat": float(rank.max()),
                "least_ess": float(ess.min()),
                "rmse": float(std * np.sqrt(np.mean((f.mean((0, 1)) - yt) ** 2))),
                "log_density": float(log_p.mean()),
                "versions": {"numpyro": numpyro.__version__, "jax": jax.__version__},
            }
        )
    )


if __name__ == "__main__":
    main()
