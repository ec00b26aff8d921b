//! Draws in the form that ArviZ reads.

use blitz_mcmc::NutsConfig;
use serde_json::Value;

use crate::networks::line_density;

#[test]
fn arviz_gets_each_weight_and_what_the_sampler_says_by_chain_and_draw() {
    let config = NutsConfig::new()
        .with_chains(2)
        .with_warm_up(30)
        .with_draws(10);
    let posterior = config.init().run(&line_density()).unwrap();
    let draws = posterior.draws();
    let folder = tempfile::tempdir().unwrap();
    // To look at with ArviZ, set `BLITZ_ARVIZ` to a path.
    let path = std::env::var_os("BLITZ_ARVIZ").map_or(folder.path().join("draws.json"), Into::into);
    draws.write_arviz(&path).unwrap();
    let json: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();

    let weight = &json["posterior"]["layer.weight"];
    assert_eq!(weight.as_array().unwrap().len(), 2);
    assert_eq!(weight[1].as_array().unwrap().len(), 10);
    // Of shape [1, 1].
    let got = weight[1][3][0][0].as_f64().unwrap();
    assert!((got - draws.position(1, 3)[0]).abs() < 1e-15);
    let bias = json["posterior"]["layer.bias"][0][9][0].as_f64().unwrap();
    assert!((bias - draws.position(0, 9)[1]).abs() < 1e-15);
    let stats = json["sample_stats"].as_object().unwrap();
    let mut names: Vec<&str> = stats.keys().map(String::as_str).collect();
    names.sort_unstable();
    let expected = [
        "acceptance_rate",
        "diverging",
        "energy",
        "lp",
        "n_steps",
        "step_size",
        "tree_depth",
    ];
    assert_eq!(names, expected);
    assert_eq!(stats["diverging"][0][0], Value::Bool(false));
}
