//! Draws in the form that ArviZ reads.

use blitz_mcmc::{LogDensity, NutsConfig};
use blitz_train::prelude::*;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use serde_json::Value;

use crate::networks::{gaussian, line_density, points};

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

/// Weights that are called as ArviZ's axes are.
#[derive(Module, Debug)]
struct Axes {
    draw: Param<Tensor<2>>,
    chain: Param<Tensor<1>>,
    chain_: Param<Tensor<1>>,
}

impl Network for Axes {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let bias = self.chain.val() + self.chain_.val();
        input.matmul(self.draw.val()) + bias.unsqueeze()
    }
}

#[test]
fn a_weight_called_as_an_axis_of_arviz_is_no_axis() {
    let device = Device::flex();
    let net = Axes {
        draw: Param::from_tensor(Tensor::zeros([1, 1], &device)),
        chain: Param::from_tensor(Tensor::zeros([1], &device)),
        chain_: Param::from_tensor(Tensor::zeros([1], &device)),
    };
    let (prior, data) = (PriorConfig::normal(1.0), vec![points(10, 2.0)]);
    let density = LogDensity::new(&net, &gaussian(0.3), |_| prior.clone(), data).unwrap();
    let config = NutsConfig::new()
        .with_chains(1)
        .with_warm_up(30)
        .with_draws(10);
    let posterior = config.init().run(&density).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("draws.json");
    posterior.draws().write_arviz(&path).unwrap();
    let json: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let names: Vec<&String> = json["posterior"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["chain_", "chain__", "draw_"]);
    // The one after those of `draw`.
    let got = json["posterior"]["chain__"][0][3][0].as_f64().unwrap();
    assert!((got - posterior.draws().position(0, 3)[1]).abs() < 1e-15);
}
