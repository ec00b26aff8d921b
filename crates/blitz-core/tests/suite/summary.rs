//! What a module says of its posteriors, which Burn's display of its layers does not.

use blitz_core::prelude::*;
use blitz_core::{NormalPosterior, NormalPosteriorConfig, NormalPrior};
use burn::module::Lora;
use burn::nn::LinearConfig;
use burn::tensor::Device;

use crate::net::Net;

#[test]
fn the_summary_prints_every_weight_with_its_families() {
    let config = BayesianizeConfig::new()
        .only(WeightFilter::matrices())
        .rule(
            WeightRule::of("output")
                .posterior(PosteriorConfig::low_rank_normal(2, 0.1))
                .prior(PriorConfig::horseshoe(0.1)),
        );
    let net = Net::plain(&Device::flex()).bayesianize(&config);
    let expected = "\
weight         shape  posterior      prior
hidden.weight  3 x 5  Normal         Normal
output.weight  5 x 2  LowRankNormal  Horseshoe
without a posterior: hidden.bias, norm.gamma, norm.beta, norm.running_mean, norm.running_var";
    assert_eq!(net.bayesian_summary().to_string(), expected);
    // Burn's display of a layer has no place for it.
    let burns = net.hidden.to_string();
    assert_eq!(
        burns,
        "Linear {d_input: 3, d_output: 5, bias: true, params: 35}"
    );
}

#[test]
fn the_summary_of_a_deterministic_network_has_no_posterior() {
    let summary = LinearConfig::new(3, 2)
        .init(&Device::flex())
        .bayesian_summary();
    assert!(summary.bayesian.is_empty() && summary.posteriors().is_empty());
    assert_eq!(summary.deterministic, ["weight", "bias"]);
}

#[test]
fn the_prior_that_moped_moves_is_named_with_what_moves_it() {
    let net = LinearConfig::new(3, 2)
        .init(&Device::flex())
        .moped(&MopedConfig::new());
    let summary = net.bayesian_summary();
    assert_eq!(summary.posteriors(), ["LocationScale"]);
    assert_eq!(summary.priors(), ["Centered Normal"]);
    assert!(summary.deterministic.is_empty());
}

#[test]
fn families_of_ones_own_go_by_their_types() {
    let net = LinearConfig::new(3, 2).init(&Device::flex());
    let net = net.attach_posteriors(|weight| {
        let posterior: NormalPosterior =
            NormalPosteriorConfig::new().init(weight.shape, weight.device);
        Some((posterior, NormalPrior::new(1.0)))
    });
    let summary = net.bayesian_summary();
    assert_eq!(
        (summary.posteriors(), summary.priors()),
        (vec!["LocationScale"], vec!["own"])
    );
}

#[test]
fn factors_of_an_adapter_are_weights_of_their_own() {
    use burn::module::Module;

    let trained = LinearConfig::new(6, 4)
        .with_bias(false)
        .init(&Device::flex());
    let net = trained
        .apply_lora(Lora::new(2, 4.0))
        .bayesianize(&BayesianizeConfig::new());
    let summary = net.bayesian_summary();
    let paths: Vec<_> = summary
        .bayesian
        .iter()
        .map(|weight| weight.path.as_str())
        .collect();
    assert_eq!(paths, ["weight.lora.a", "weight.lora.b"]);
    assert_eq!(
        (summary.posteriors(), summary.priors()),
        (vec!["Normal"], vec!["Normal"])
    );
    assert_eq!(summary.deterministic, ["weight"]);
}

#[test]
fn a_summary_initializes_nothing() {
    let net = LinearConfig::new(3, 2)
        .init(&Device::flex())
        .bayesianize(&BayesianizeConfig::new());
    assert!(!net.weight.is_initialized());
    let _ = net.bayesian_summary();
    assert!(!net.weight.is_initialized());
}

/// The adapter of the weight itself gives way to its posterior then.
#[test]
fn an_adapter_after_the_posteriors_shows_and_inside_of_one_is_refused() {
    use blitz_core::BayesianizeError;
    use burn::module::Module;

    let config = BayesianizeConfig::new();
    let trained = LinearConfig::new(6, 4).init(&Device::flex());
    let net = trained.clone().bayesianize(&config);
    let summary = net.bayesian_summary();
    assert!(summary.bayesian.iter().all(|weight| weight.mean_trains));
    assert!(!summary.to_string().contains("frozen"));
    let summary = net.apply_lora(Lora::new(2, 4.0)).bayesian_summary();
    assert!(summary.bayesian.iter().all(|weight| !weight.mean_trains));
    assert!(summary.adapted_inside.is_empty());
    let text = summary.to_string();
    let frozen = "with a frozen mean: weight, bias (Burn's `apply_lora` freezes as `freeze` does, and comes before `bayesianize`)";
    assert!(text.ends_with(frozen), "{text}");

    // One that has a matrix among its parameters.
    let low_rank = PosteriorConfig::low_rank_normal(2, 0.1);
    let net = trained.bayesianize(&config.clone().with_posterior(low_rank));
    let net = net.apply_lora(Lora::new(2, 4.0));
    // Clones of a parameter that is not initialized are frozen together, and the bias was above.
    let paths = vec!["weight".to_string()];
    assert_eq!(net.bayesian_summary().adapted_inside, paths);
    let inside = BayesianizeError::InsidePosterior {
        weights: paths,
        name: "lora".into(),
    };
    let error = |config: &BayesianizeConfig| net.clone().try_bayesianize(config).unwrap_err();
    assert_eq!(error(&config), inside);
    assert_eq!(error(&config.clone().keep_existing()), inside);
    assert_eq!(error(&config.replace_existing()), inside);
    let moped = net.clone().try_moped(&MopedConfig::new());
    assert_eq!(moped.unwrap_err(), inside);
    assert_eq!(net.try_scale_deviations(2.0).unwrap_err(), inside);
}
