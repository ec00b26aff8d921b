//! The outputs of a network in the draws of a prediction.

use blitz_layers::blitz_core::noise::layout;
use blitz_layers::blitz_core::{BayesianModule, KeptDeviations};
use burn::module::Module;

use crate::module_state::as_in_prediction;
use crate::network::Network;

/// Of so many draws those that differ: one of a network that is not [drawn](Network::is_drawn).
pub(crate) fn of_use<N: Network>(network: &N, samples: usize) -> usize {
    match network.is_drawn() {
        true => samples,
        false => samples.min(1),
    }
}

/// What `f` returns in each of the first `samples` draws of a prediction with `seed`, none of which a training with
/// that seed has seen.
///
/// Draw `i` is `model.draw(seed, layout::prediction(i))` [with shared
/// weights](blitz_layers::blitz_core::Draw::with_shared_weights): one network for all that `f` computes, whatever the
/// layers' estimators. `f` gets the model with its layers as in prediction, also on an autodiff device: Burn's dropout
/// drops nothing, and a batch norm keeps its statistics. Where the weights are, so is the graph of `f`.
///
/// ```
/// use blitz_train::blitz_core::noise::layout;
/// use blitz_train::prelude::*;
/// use blitz_train::predict_draws;
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let net = LinearConfig::new(2, 1).init(&device).bayesianize(&BayesianizeConfig::new());
/// let x = Tensor::<2>::ones([3, 2], &device);
/// let likelihood = GaussianLikelihoodConfig::new().init(&device);
/// let outputs = predict_draws(&net, 20, 0, |net| net.forward(x.clone()));
/// let again = net.with_draw(0, layout::prediction(17), |net| net.forward(x.clone()));
/// assert_eq!(again.into_data(), outputs[17].to_data());
/// let predictive = likelihood.predictive(outputs);
/// assert_eq!(predictive.interval(0.9).len(), 3);
/// ```
///
/// # Panics
///
/// Panics if `samples` is zero.
pub fn predict_draws<M: Module, O>(
    model: &M,
    samples: usize,
    seed: u64,
    mut f: impl FnMut(&M) -> O,
) -> Vec<O> {
    assert!(samples > 0, "a prediction needs at least one draw, got 0");
    let model = as_in_prediction(model);
    let kept = KeptDeviations::default();
    (0..samples as u64)
        .map(|sample| {
            let draw = model.draw(seed, layout::prediction(sample));
            let _draw = draw.with_shared_weights().with_deviations(&kept);
            f(&model)
        })
        .collect()
}
