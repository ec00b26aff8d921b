//! Which weights a conversion chooses, and what it says when a filter chooses none.

use blitz_core::prelude::*;
use blitz_core::{BayesianizeError, BuiltinVariational, NormalPosteriorConfig, NormalPrior};
use burn::config::Config;
use burn::module::{Lora, Module, Param, ParamGroup};
use burn::nn::transformer::{TransformerEncoder, TransformerEncoderConfig};
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use crate::net::{Net, scalar};

#[derive(Module, Debug)]
struct Model {
    embedding: Embedding,
    encoder: TransformerEncoder,
    heads: Vec<Linear>,
    norm: LayerNorm,
}

impl Model {
    fn init() -> Self {
        let device = Device::flex();
        Self {
            embedding: EmbeddingConfig::new(7, 4).init(&device),
            encoder: TransformerEncoderConfig::new(4, 8, 2, 2).init(&device),
            heads: vec![
                LinearConfig::new(4, 3).init(&device),
                LinearConfig::new(4, 2).init(&device),
            ],
            norm: LayerNormConfig::new(2).init(&device),
        }
    }
}

/// The paths that a configuration converts.
fn converted(config: &BayesianizeConfig) -> Vec<String> {
    let net = Model::init().bayesianize(config);
    let weights = net.weight_marginals().into_iter();
    weights.map(|weight| weight.path).collect()
}

fn chosen(filter: impl Into<WeightFilter>) -> Vec<String> {
    converted(&BayesianizeConfig::new().only(filter))
}

#[test]
fn the_last_layer_is_the_last_matrix_with_its_bias() {
    let expected = ["heads.1.weight", "heads.1.bias"];
    assert_eq!(chosen(WeightFilter::last_layer()), expected);
}

#[test]
fn a_last_layer_with_its_parameters_in_lists_is_that_of_its_type() {
    #[derive(Module, Debug)]
    struct Head {
        weights: Vec<Param<Tensor<2>>>,
        bias: Param<Tensor<1>>,
    }

    #[derive(Module, Debug)]
    struct Net {
        hidden: Linear,
        head: Head,
    }

    let device = Device::flex();
    let weight = || Param::from_tensor(Tensor::ones([4, 3], &device));
    let net = Net {
        hidden: LinearConfig::new(4, 4).init(&device),
        head: Head {
            weights: vec![weight(), weight()],
            bias: Param::from_tensor(Tensor::ones([3], &device)),
        },
    };
    for filter in [WeightFilter::last_layer(), WeightFilter::layer("Head")] {
        let net = net.clone();
        let net = net.bayesianize(&BayesianizeConfig::new().only(filter));
        let marginals = net.weight_marginals();
        let paths: Vec<_> = marginals.iter().map(|weight| &weight.path).collect();
        assert_eq!(paths, ["head.weights.0", "head.weights.1", "head.bias"]);
    }
}

#[test]
fn matrices_are_neither_norms_nor_biases() {
    let paths = chosen(WeightFilter::matrices());
    // The embedding, two heads, and per encoder layer four of the attention and two of the feed-forward part.
    assert_eq!(paths.len(), 1 + 2 + 2 * (4 + 2), "{paths:?}");
    assert!(paths.iter().all(|path| path.ends_with(".weight")));
}

#[test]
fn a_layer_is_chosen_by_its_type_and_what_is_inside_by_that_of_any_container() {
    assert_eq!(
        chosen(WeightFilter::layer("Embedding")),
        ["embedding.weight"]
    );
    assert_eq!(
        chosen(WeightFilter::layer("LayerNorm")).len(),
        2 * 2 * 2 + 2
    );
    // Four linear layers with biases, in two encoder layers.
    assert_eq!(
        chosen(WeightFilter::inside("MultiHeadAttention")).len(),
        4 * 2 * 2
    );
    let linear = WeightFilter::inside("TransformerEncoder").and(WeightFilter::layer("Linear"));
    assert_eq!(chosen(linear).len(), 2 * (4 + 2) * 2);
}

#[test]
fn paths_patterns_and_groups_choose() {
    assert_eq!(chosen("heads.0"), ["heads.0.weight", "heads.0.bias"]);
    assert_eq!(chosen("heads.*.bias"), ["heads.0.bias", "heads.1.bias"]);
    assert_eq!(
        chosen(WeightFilter::regex(r"^heads\.[01]\.weight$")),
        ["heads.0.weight", "heads.1.weight"]
    );
    assert_eq!(
        chosen(ParamGroup::from_path("heads.1.bias")),
        ["heads.1.bias"]
    );
    let either = WeightFilter::path("embedding").or("heads.0.bias");
    assert_eq!(chosen(either), ["embedding.weight", "heads.0.bias"]);
    let rest = WeightFilter::inside("TransformerEncoder").or("heads").not();
    assert_eq!(
        chosen(rest),
        ["embedding.weight", "norm.gamma", "norm.beta"]
    );
}

#[test]
fn the_first_rule_that_matches_decides_and_the_rest_get_the_default() {
    let config = BayesianizeConfig::new()
        .with_posterior(PosteriorConfig::normal(0.5))
        .rule(WeightRule::of("hidden.weight").posterior(PosteriorConfig::normal(0.1)))
        .rule(WeightRule::of("hidden").prior(PriorConfig::normal(2.0)))
        .skip(WeightFilter::layer("BatchNorm"));
    let net = Net::plain(&Device::flex()).bayesianize(&config);
    assert_eq!(net.num_bayesian_weights(), 15 + 5 + 10);

    let variational = |param: &burn::module::Param<Tensor<2>>| {
        param
            .reparameterization::<BuiltinVariational>()
            .unwrap()
            .clone()
    };
    let weight = variational(&net.hidden.weight);
    let bias = net.hidden.bias.as_ref().unwrap();
    let bias = bias.reparameterization::<BuiltinVariational>().unwrap();
    let output = variational(&net.output.weight);
    let first_std = |v: &BuiltinVariational| {
        let rho = v.posterior.as_normal().unwrap().rho.val();
        scalar(blitz_core::deviation::std_from_rho(rho).slice(0..1))
    };
    assert!((first_std(&weight) - 0.1).abs() < 1e-6);
    assert!((first_std(bias) - 0.5).abs() < 1e-6);
    assert!((first_std(&output) - 0.5).abs() < 1e-6);
    assert!(format!("{:?}", weight.prior).contains("std: 1.0"));
    assert!(format!("{:?}", bias.prior).contains("std: 2.0"));
    assert!(format!("{:?}", output.prior).contains("std: 1.0"));
}

#[test]
fn a_configuration_with_rules_survives_its_file() {
    let config = BayesianizeConfig::new()
        .only(WeightFilter::matrices().or(WeightFilter::regex("bias$")))
        .rule(WeightRule::of("encoder").prior(PriorConfig::scale_mixture(0.5, 1.0, 0.1)))
        .skip(WeightFilter::layer("Embedding").and(ParamGroup::all()));
    let file = std::env::temp_dir().join(format!("blitz-rules-{}.json", std::process::id()));
    config.save(&file).unwrap();
    let loaded = BayesianizeConfig::load(&file);
    std::fs::remove_file(&file).unwrap();
    let loaded = loaded.unwrap();
    assert_eq!(converted(&loaded), converted(&config));
    assert_eq!(loaded.to_string(), config.to_string());
}

#[test]
#[should_panic(
    expected = "rule 0, Path(\"encodr\"), matches no weight; there are embedding.weight (Embedding), "
)]
fn a_rule_that_matches_nothing_panics_with_the_paths_there_are() {
    let config = BayesianizeConfig::new().skip("encodr");
    let _ = Model::init().bayesianize(&config);
}

#[test]
fn a_filter_that_does_nothing_is_an_error_of_the_fallible_twin() {
    let error = |config: BayesianizeConfig| Model::init().try_bayesianize(&config).unwrap_err();
    let config = BayesianizeConfig::new();
    assert!(matches!(
        error(config.clone().only("hed")),
        BayesianizeError::NoMatch { rule: None, .. }
    ));
    // The second rule comes too late for all of its weights.
    assert!(matches!(
        error(config.clone().skip("heads").skip("heads.0.weight")),
        BayesianizeError::Shadowed { rule: 1, .. }
    ));
    // A rule among weights that are not converted at all.
    assert!(matches!(
        error(config.clone().only("heads").skip("embedding")),
        BayesianizeError::NoMatch { rule: Some(0), .. }
    ));
    let invalid = error(config.only(WeightFilter::regex("heads(").not()));
    assert!(matches!(invalid, BayesianizeError::InvalidRegex { .. }));
    assert!(
        invalid
            .to_string()
            .contains("\"heads(\" is no regular expression")
    );
}

#[test]
fn a_rule_for_what_is_frozen_or_bayesian_already_is_no_slip() {
    let narrow = || WeightRule::of("hidden").prior(PriorConfig::normal(0.1));
    let once = Net::plain(&Device::flex()).bayesianize(&BayesianizeConfig::new().only("hidden"));
    let config = BayesianizeConfig::new().rule(narrow()).keep_existing();
    let twice = once.try_bayesianize(&config).unwrap();
    assert_eq!(twice.num_bayesian_weights(), 15 + 5 + 5 + 5 + 10);
    let mut frozen = Net::plain(&Device::flex());
    frozen.hidden = frozen.hidden.no_grad();
    let config = BayesianizeConfig::new().rule(narrow());
    let rest = frozen.try_bayesianize(&config).unwrap();
    assert_eq!(rest.num_bayesian_weights(), 5 + 5 + 10);
}

#[test]
fn parts_of_a_model_are_converted_one_after_the_other() {
    let head = BayesianizeConfig::new().only("output");
    let net = Net::plain(&Device::flex()).bayesianize(&head);
    let net = net.bayesianize(&BayesianizeConfig::new().only("hidden"));
    assert_eq!(net.num_bayesian_weights(), 15 + 5 + 10);
}

#[test]
fn a_closure_knows_what_the_filters_know_and_is_asked_once_per_weight() {
    let mut asked = Vec::new();
    let net = Net::plain(&Device::flex()).bayesianize(&BayesianizeConfig::new().only("norm"));
    let net = net.attach_posteriors(|weight| {
        asked.push((weight.path.to_string(), weight.modules.join("/")));
        let posterior = NormalPosteriorConfig::new().init(weight.shape, weight.device);
        (weight.in_last_layer || WeightFilter::path("**.bias").matches(&weight))
            .then(|| (posterior, NormalPrior::new(1.0)))
    });
    // Neither the norm, which is Bayesian already, nor any deviation.
    let expected = ["hidden.weight", "hidden.bias", "output.weight"];
    let expected = expected.map(|path| (path.to_string(), "Net/Linear".to_string()));
    assert_eq!(asked, expected);
    assert_eq!(net.num_bayesian_weights(), 10 + 5 + 10);
}

#[test]
fn the_factors_of_adapters_get_the_posteriors() {
    let device = Device::flex().autodiff();
    let net = Net::plain(&device).apply_lora(Lora::new(2, 1.0));
    let before = net.num_params();
    let factors = 2 * (3 + 5) + 2 * (5 + 2);
    let net = net.bayesianize(&BayesianizeConfig::new());
    assert_eq!(
        (net.num_bayesian_weights(), net.num_params()),
        (factors, before + factors)
    );
    let layer = WeightFilter::layer("LoraAdapter").not();
    let none = Net::plain(&device).apply_lora(Lora::new(2, 1.0));
    assert!(
        none.try_bayesianize(&BayesianizeConfig::new().only(layer))
            .is_err()
    );
}
