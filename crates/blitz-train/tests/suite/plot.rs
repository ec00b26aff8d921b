//! The plot of a module's posterior; the other plots are tested where they live, in `blitz-predict`.

use blitz_train::plot::{Plot as _, posterior_plot, posterior_plot_from};
use blitz_train::prelude::*;
use burn::nn::LinearConfig;
use burn::nn::transformer::TransformerEncoderConfig;
use burn::tensor::Device;

#[test]
fn a_posterior_plot_has_a_row_for_each_weight_tensor() {
    let encoder = TransformerEncoderConfig::new(16, 32, 2, 2).init(&Device::flex());
    let encoder = encoder.bayesianize(&BayesianizeConfig::new());
    let tensors = encoder.weight_marginals();
    assert!(tensors.len() > 20);
    let plot = posterior_plot(&encoder).unwrap().with_title("Encoder");
    let svg = plot.to_svg().unwrap();
    assert!(svg.contains("Encoder"));
    for tensor in &tensors {
        let tail: String = tensor.path.chars().rev().take(20).collect();
        let tail: String = tail.chars().rev().collect();
        assert!(svg.contains(&tail), "{}", tensor.path);
    }
}

#[test]
fn a_module_without_posteriors_is_refused_with_the_reason() {
    let deterministic = LinearConfig::new(2, 2).init(&Device::flex());
    let error = posterior_plot(&deterministic).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no weight with a posterior to plot"
    );
}

#[test]
fn a_posterior_plot_shows_where_prior_and_start_were_left_if_they_are_known() {
    let layer = BayesianLinearConfig::new(3, 2).init(&Device::flex());
    let start = layer.weight_marginals();
    let [alone, from] = [
        posterior_plot(&layer).unwrap().to_svg().unwrap(),
        posterior_plot_from(&layer, &start)
            .unwrap()
            .to_svg()
            .unwrap(),
    ];
    for text in ["KL of a weight", "shift from the prior"] {
        assert!(alone.contains(text) && from.contains(text), "{text}");
    }
    assert!(!alone.contains("shift from the start") && from.contains("shift from the start"));
    // A prior without a known deviation has a KL alone.
    let prior = PriorConfig::laplace(1.0);
    let laplace = BayesianLinearConfig::new(3, 2)
        .with_prior(prior)
        .init(&Device::flex());
    let svg = posterior_plot(&laplace).unwrap().to_svg().unwrap();
    assert!(svg.contains("KL of a weight") && !svg.contains("shift from the prior"));
}
