//! Posteriors on the factors of Burn's LoRA.

use std::sync::atomic::{AtomicUsize, Ordering};

use blitz_core::prelude::*;
use blitz_core::{ColumnMoments, WeightMoments, WeightReading, weight_rows};
use burn::module::{Lora, Module, ModuleMapper, Param, Reparameterization, Reparameterizer};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};

use crate::net::{scalar, values};

fn adapted(device: &Device) -> Linear {
    let layer = LinearConfig::new(4, 6).init(device);
    let config = BayesianizeConfig::new().with_posterior(PosteriorConfig::normal(0.05));
    let adapted = layer.apply_lora(Lora::new(2, 4.0)).map(&mut Fixed(0));
    adapted.bayesianize(&config)
}

/// Weights that are the same in every run, whatever the tests beside it draw; zeros stay.
struct Fixed(u32);

impl ModuleMapper for Fixed {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.0 += 1;
        let mut normals = vec![0.0; param.shape().num_elements()];
        NoiseKey::new(7, 0, self.0).fill_standard_normal(0, &mut normals);
        param.map(|tensor| {
            let normals = TensorData::new(normals, tensor.shape());
            let scale = tensor.clone().detach().sign().abs() * 0.5;
            let fixed = (Tensor::from_data(normals, &tensor.device()) * scale).detach();
            match tensor.is_require_grad() {
                true => fixed.require_grad(),
                false => fixed,
            }
        })
    }
}

fn input(device: &Device) -> Tensor<2> {
    Tensor::from_floats([[0.3, -1.0, 2.0, 0.5], [1.0, 0.2, -0.4, 0.7]], device)
}

#[test]
fn the_factors_are_the_bayesian_weights() {
    let net = adapted(&Device::flex());
    assert_eq!(net.num_bayesian_weights(), 4 * 2 + 2 * 6);
    let paths: Vec<_> = net.kl_terms().into_iter().map(|term| term.path).collect();
    assert_eq!(paths, ["weight.lora.a", "weight.lora.b"]);
    let marginals = net.weight_marginals();
    assert_eq!(marginals[0].means.len(), 8);
    assert!(
        marginals[1]
            .std_devs
            .iter()
            .all(|std| (std - 0.05).abs() < 1e-6)
    );
    // One factor alone.
    let layer = LinearConfig::new(4, 6)
        .init(&Device::flex())
        .apply_lora(Lora::new(2, 4.0));
    let only_a = layer.bayesianize(&BayesianizeConfig::new().only("weight.lora.a"));
    assert_eq!(only_a.num_bayesian_weights(), 8);
}

/// A reparameterization that counts how often its weight is computed.
#[derive(Module, Debug)]
struct Counted {
    factor: Param<Tensor<2>>,
}

static COMPUTED: AtomicUsize = AtomicUsize::new(0);

impl Reparameterization for Counted {
    const NAME: &'static str = "counted";

    fn apply<const D: usize>(&self, base: Tensor<D>) -> Tensor<D> {
        COMPUTED.fetch_add(1, Ordering::Relaxed);
        base + self.factor.val().sum().reshape([1; D])
    }
}

struct Count;

impl Reparameterizer for Count {
    type Reparam = Counted;

    fn reparameterize<const D: usize>(
        &mut self,
        _path: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<Counted>) {
        let factor = Tensor::<2>::ones([2, 3], &param.lazy_device());
        let factor = Param::from_tensor(factor);
        (param, (D == 2).then_some(Counted { factor }))
    }
}

#[test]
fn a_look_at_the_posteriors_computes_no_weight_that_is_adapted() {
    let device = Device::flex().autodiff();
    let config = BayesianizeConfig::new().only("weight.counted.factor");
    let net = LinearConfig::new(3, 3)
        .init(&device)
        .apply_reparameterization(Count)
        .bayesianize(&config);
    assert_eq!(net.num_bayesian_weights(), 6);
    let kl = net.kl_cost();
    assert_eq!(net.kl_terms()[0].path, "weight.counted.factor");
    let start = net.weight_marginals();
    assert_eq!(start[0].means, [1.0; 6]);
    assert_eq!(
        net.weight_movements(Some(&start))[0].has_stayed(),
        Some(true)
    );
    {
        let draw = net.draw(1, 0);
        // Of a draw that has read nothing there is none.
        assert!(net.kl_cost_of_draw().is_none());
        let _other = draw.antithetic(&net, 1).unwrap();
    }
    assert_eq!(COMPUTED.load(Ordering::Relaxed), 0);
    // The parameters come with their gradients, of a KL of μ²/2 and what σ adds.
    let grads = kl.backward();
    let factor = &net.weight.reparameterization::<Counted>().unwrap().factor;
    assert_eq!(values(factor.base().grad(&grads).unwrap()), [1.0; 6]);
    let _ = net.weight.val();
    assert_eq!(COMPUTED.load(Ordering::Relaxed), 1);
}

#[test]
fn a_draw_is_the_same_twice_and_what_materialize_gives() {
    let device = Device::flex();
    let net = adapted(&device);
    let forward = |index| net.with_draw(1, index, |net| values(net.forward(input(&device))));
    assert_eq!(forward(0), forward(0));
    assert_ne!(forward(0), forward(1));
    let network = net.sample_network(1, 0);
    assert!(network.weight.adapter().is_none());
    assert_eq!(values(network.forward(input(&device))), forward(0));
    // The mean network is that of the factors' means.
    let adapter = net.weight.adapter().unwrap();
    let product = adapter.a.base().matmul(adapter.b.base()) * 2.0;
    let expected = values(net.weight.base() + product);
    for (got, expected) in values(net.mean_network().weight.val()).iter().zip(expected) {
        assert!((got - expected).abs() < 1e-6);
    }
}

#[test]
fn training_moves_the_factors_and_their_deviations_alone() {
    let device = Device::flex().autodiff();
    let mut net = adapted(&device);
    let before = net.clone();
    let mut adam = AdamConfig::new().init();
    let target = Tensor::<2>::ones([2, 6], &device);
    let mut losses = Vec::new();
    for index in 0..60 {
        let loss = {
            let _draw = net.draw(3, index);
            let nll = (net.forward(input(&device)) - target.clone())
                .square()
                .sum();
            losses.push(scalar(nll.clone()));
            nll + net.kl_cost() * 1e-3
        };
        let grads = GradientsParams::from_grads(loss.backward(), &net);
        net = adam.step(0.02, net, grads);
    }
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    assert!(
        mean(&losses[50..]) < 0.2 * mean(&losses[..10]),
        "{losses:?}"
    );
    assert_eq!(values(net.weight.base()), values(before.weight.base()));
    let moved = net
        .weight_marginals()
        .into_iter()
        .zip(before.weight_marginals());
    for (after, before) in moved {
        assert!(after.means.iter().zip(&before.means).all(|(a, b)| a != b));
        assert!(
            after
                .std_devs
                .iter()
                .zip(&before.std_devs)
                .all(|(a, b)| a != b)
        );
    }
}

#[test]
fn a_record_brings_the_same_draws_back() {
    let device = Device::flex();
    let net = adapted(&device);
    let loaded = adapted(&device).load_record(net.clone().into_record());
    let forward = |net: &Linear| net.with_draw(7, 3, |net| values(net.forward(input(&device))));
    assert_eq!(forward(&loaded), forward(&net));
    assert_eq!(scalar(loaded.kl_cost()), scalar(net.kl_cost()));
}

#[test]
fn freezing_and_moped_reach_the_factors() {
    let device = Device::flex();
    let frozen = adapted(&device).freeze_sampling();
    let mean = values(frozen.mean_network().forward(input(&device)));
    for (got, expected) in values(frozen.forward(input(&device))).iter().zip(mean) {
        assert!((got - expected).abs() < 1e-6);
    }
    let layer = LinearConfig::new(4, 6)
        .init(&device)
        .apply_lora(Lora::new(2, 4.0));
    let net = layer.clone().moped(&MopedConfig::new().with_delta(0.2));
    assert_eq!(net.num_bayesian_weights(), 20);
    let marginals = &net.weight_marginals()[0];
    for (mean, std) in marginals.means.iter().zip(&marginals.std_devs) {
        assert!((std - (0.2 * mean.abs()).max(1e-3)).abs() < 1e-5);
    }
}

#[test]
fn rows_of_an_adapted_weight_are_rows_of_its_sum() {
    let net = adapted(&Device::flex());
    let _draw = net.draw(1, 0);
    let rows = weight_rows(&net.weight, &[2, 0]);
    assert_eq!(
        values(rows),
        values(
            net.weight
                .val()
                .select(0, Tensor::from_ints([2, 0], &Device::flex()))
        )
    );
}

/// A weight norm `g v / ‖v‖` by columns (Salimans & Kingma 2016).
#[derive(Module, Debug)]
struct WeightNorm {
    v: Param<Tensor<2>>,
    g: Param<Tensor<1>>,
}

impl Reparameterization for WeightNorm {
    const NAME: &'static str = "norm";

    fn apply<const D: usize>(&self, base: Tensor<D>) -> Tensor<D> {
        let v = self.v.val();
        let norms = v.clone().square().sum_dim(0).sqrt();
        let scale = self.g.val().unsqueeze::<2>() / norms;
        (v * scale).reshape(base.shape())
    }
}

struct Normed;

impl Reparameterizer for Normed {
    type Reparam = WeightNorm;

    fn reparameterize<const D: usize>(
        &mut self,
        _path: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<WeightNorm>) {
        let device = param.lazy_device();
        let norm = (D == 2).then(|| WeightNorm {
            v: Param::from_tensor(param.base().reshape([4, 3])),
            g: Param::from_tensor(Tensor::from_floats([0.5, 1.0, 2.0], &device)),
        });
        (param, norm)
    }
}

#[test]
fn no_factor_answers_in_the_place_of_the_weight_that_is_made_of_it() {
    let device = Device::flex();
    for factors in ["weight.norm.v", "weight.norm.g", "weight.norm"] {
        let net = LinearConfig::new(4, 3).init(&device);
        let net = net
            .apply_reparameterization(Normed)
            .bayesianize(&BayesianizeConfig::new().only(factors));
        net.with_draw(1, 0, |net| {
            let weight = values(net.weight.val());
            for reading in [
                WeightReading::with_variance(&net.weight),
                WeightReading::with_perturbation(&net.weight),
            ] {
                let WeightReading::Value(value) = reading else {
                    panic!("{factors}")
                };
                assert_eq!(values(value), weight, "{factors}");
            }
            assert!(WeightReading::with_variance_factors(&net.weight).is_none());
            let rows = values(weight_rows(&net.weight, &[2, 0]));
            assert_eq!(rows, [&weight[6..9], &weight[..3]].concat(), "{factors}");
        });
        let moments = ColumnMoments::of(&net.weight);
        assert!(moments.factors.is_none() && moments.weights.variance.is_none());
        let mean = net.with_mean(|net| values(net.weight.val()));
        assert_eq!(values(moments.weights.mean), mean, "{factors}");
        let refused = net.with_moments(|net| WeightMoments::of(&net.weight));
        let message = refused.unwrap_err().to_string();
        assert!(message.contains("weight.norm."), "{message}");
    }
}
