//! What a field is called decides nothing.

use blitz_core::prelude::*;
use blitz_core::{
    Noise, NormalPosterior, NormalPosteriorConfig, NormalPrior, Posterior, Variational,
};
use burn::module::{Module, Param, ParamGroup};
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use crate::net::values;

/// Fields with the names that an attachment's parameters have.
#[derive(Module, Debug)]
struct Names {
    bayes: Linear,
    posterior: Nested,
    sampling: Dropout,
}

#[derive(Module, Debug)]
struct Nested {
    weight: Linear,
    bayes: Dropout,
    sampling: (Linear, Vec<Linear>),
}

fn net(device: &Device) -> Names {
    let linear = || LinearConfig::new(2, 2).init(device);
    let dropout = || DropoutConfig::new(0.5).init();
    Names {
        bayes: linear(),
        posterior: Nested {
            weight: linear(),
            bayes: dropout(),
            sampling: (linear(), vec![linear(), linear()]),
        },
        sampling: dropout(),
    }
}

fn layers(net: &Names) -> [&Linear; 5] {
    let Nested {
        weight, sampling, ..
    } = &net.posterior;
    [
        &net.bayes,
        weight,
        &sampling.0,
        &sampling.1[0],
        &sampling.1[1],
    ]
}

fn draws(net: &Names, index: u64) -> Vec<Vec<f32>> {
    net.with_draw(1, index, |net| {
        layers(net).map(|l| values(l.weight.val())).to_vec()
    })
}

fn drops(dropout: &Dropout, device: &Device) -> bool {
    let ones = Tensor::<2>::ones([1, 200], device);
    values(dropout.forward(ones)).contains(&0.0)
}

#[test]
fn freezing_stops_the_sampling_of_every_weight_and_no_dropout() {
    let device = Device::flex().autodiff();
    let net = net(&device).bayesianize(&BayesianizeConfig::new());
    assert_eq!(net.num_bayesian_weights(), 5 * 6);
    for (first, second) in draws(&net, 0).into_iter().zip(draws(&net, 1)) {
        assert_ne!(first, second);
    }
    let frozen = net.freeze_sampling();
    for (layer, drawn) in layers(&frozen).iter().zip(draws(&frozen, 0)) {
        assert_eq!(values(layer.weight.base()), drawn);
    }
    assert!(drops(&frozen.sampling, &device));
    assert!(drops(&frozen.posterior.bayes, &device));
    let thawed = frozen.unfreeze_sampling();
    assert_ne!(draws(&thawed, 0), draws(&thawed, 1));
}

#[test]
fn a_group_freezes_the_weights_at_its_path_and_no_others() {
    let net = net(&Device::flex()).bayesianize(&BayesianizeConfig::new());
    let frozen = net.freeze_sampling_group(ParamGroup::from_path("bayes.weight"));
    let (first, second) = (draws(&frozen, 0), draws(&frozen, 1));
    assert_eq!(first[0], second[0]);
    for i in 1..5 {
        assert_ne!(first[i], second[i]);
    }
}

#[test]
fn paths_of_terms_and_marginals_are_the_modules_own() {
    let net =
        net(&Device::flex()).bayesianize(&BayesianizeConfig::new().only(WeightFilter::matrices()));
    let expected = [
        "bayes.weight",
        "posterior.weight.weight",
        "posterior.sampling.0.weight",
        "posterior.sampling.1.0.weight",
        "posterior.sampling.1.1.weight",
    ];
    let terms: Vec<_> = net.kl_terms().into_iter().map(|term| term.path).collect();
    assert_eq!(terms, expected);
    let marginals: Vec<_> = net.weight_marginals().into_iter().map(|m| m.path).collect();
    assert_eq!(marginals, expected);
}

/// A posterior that holds a flag and a field with the attachment's names.
#[derive(Module, Debug)]
struct Flagged {
    sampling: Param<burn::module::Flag>,
    bayes: NormalPosterior,
}

impl Posterior for Flagged {
    fn sample<const D: usize>(&self, mu: Tensor<D>, noise: &mut Noise) -> Tensor<D> {
        self.bayes.sample(mu, noise)
    }

    fn std_dev<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
        self.bayes.std_dev(mu)
    }

    fn log_density<const D: usize>(&self, mu: Tensor<D>, weight: Tensor<D>) -> Tensor<1> {
        self.bayes.log_density(mu, weight)
    }
}

#[test]
fn a_flag_inside_a_posterior_is_not_the_attachments() {
    let device = Device::flex();
    let layer = LinearConfig::new(2, 2)
        .init(&device)
        .attach_posteriors(|weight| {
            let posterior = Flagged {
                sampling: Param::from_bool(true),
                bayes: NormalPosteriorConfig::new().init(weight.shape, weight.device),
            };
            Some((posterior, NormalPrior::new(1.0)))
        });
    let frozen = layer.freeze_sampling();
    type Attached = Variational<Flagged, NormalPrior>;
    let attached = frozen.weight.reparameterization::<Attached>().unwrap();
    assert!(attached.posterior.sampling.base().is_enabled());
    assert!(!attached.is_sampling());
    assert_eq!(frozen.num_posterior_params(), 12);
    let posteriors = frozen.posteriors::<Flagged>();
    assert_eq!(posteriors.len(), 2);
}
