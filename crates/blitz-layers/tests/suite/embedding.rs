//! `BayesianEmbedding`.

use blitz_core::{
    BuiltinVariational, KlEstimator, Noise, NormalPosteriorConfig, NormalPrior, Posterior,
};
use blitz_layers::moments::ForwardMoments;
use blitz_layers::prelude::*;
use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::{Embedding, EmbeddingConfig, Initializer};
use burn::tensor::{Device, Gradients, Int, Shape, Tensor};

use crate::digest::given;
use crate::priors::priors;
use crate::seeded::seeded;
use crate::statistics::values;
use crate::types::TYPES;

fn words(device: &Device) -> Tensor<2, Int> {
    Tensor::from_ints([[4, 0, 9], [4, 2, 0]], device)
}

fn config() -> BayesianEmbeddingConfig {
    BayesianEmbeddingConfig::new(10, 5).with_posterior(PosteriorConfig::normal(0.3))
}

fn rho_gradient(layer: &BayesianEmbedding, grads: &Gradients) -> Vec<f64> {
    let variational = layer.weight.reparameterization::<BuiltinVariational>();
    let posterior = &variational.unwrap().posterior;
    let rho = posterior.as_normal().unwrap().rho.val();
    values(rho.grad(grads).unwrap())
}

#[test]
fn the_mean_equals_burns_embedding_and_its_record_loads() {
    let device = Device::flex();
    let plain = EmbeddingConfig::new(10, 5).init(&device);
    let layer = config().init(&device);
    let layer = layer.load_record(plain.clone().into_record().allow_partial(true));
    let mean = layer.with_mean(|layer| layer.forward(words(&device)));
    assert_eq!(values(mean), values(plain.forward(words(&device))));
    let frozen = layer.freeze_sampling().forward(words(&device));
    assert_eq!(values(frozen), values(plain.forward(words(&device))));
}

#[test]
fn the_rows_drawn_are_those_of_the_full_table_to_the_bit() {
    let device = Device::flex();
    for dtype in TYPES {
        // Rows of 5 start anywhere in a noise block of 4.
        let layer = given(config().init(&device), 0.5, dtype);
        for index in 0..3 {
            let drawn = layer.with_draw(3, index, |layer| layer.forward(words(&device)));
            let table = layer.sample_network(3, index).weight.val();
            assert_eq!([drawn.dtype(), table.dtype()], [dtype; 2]);
            let table = Embedding {
                weight: burn::module::Param::from_tensor(table),
            };
            let drawn = values(drawn);
            assert_eq!(drawn, values(table.forward(words(&device))), "{dtype:?}");
        }
        // Also where the full table was read in the draw before.
        let _draw = layer.draw(3, 0);
        let rows = values(layer.forward(words(&device)));
        let _ = layer.weight.val();
        assert_eq!(rows, values(layer.forward(words(&device))), "{dtype:?}");
    }
}

#[test]
fn a_word_has_one_vector_in_a_call_and_in_a_draw() {
    let device = Device::flex();
    let layer = config().init(&device);
    let output = values(layer.forward(words(&device)));
    assert_eq!(output[0..5], output[15..20]);
    assert_eq!(output[5..10], output[25..30]);
    // Outside a draw each call samples afresh.
    assert_ne!(output, values(layer.forward(words(&device))));
    let _draw = layer.draw(1, 0);
    let first = values(layer.forward(words(&device)));
    let other = Tensor::<2, Int>::from_ints([[9]], &device);
    assert_eq!(first[10..15], values(layer.forward(other)));
}

/// A posterior that can't draw its whole table.
#[derive(Module, Debug)]
struct RowsOnly {
    whole: bool,
}

impl Posterior for RowsOnly {
    fn sample<const D: usize>(&self, mu: Tensor<D>, noise: &mut Noise) -> Tensor<D> {
        assert!(!self.whole, "the whole table was drawn");
        let epsilon = noise.standard_normal(&mu);
        mu + epsilon
    }

    fn std_dev<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
        mu.ones_like()
    }

    fn log_density<const D: usize>(&self, mu: Tensor<D>, weight: Tensor<D>) -> Tensor<1> {
        (weight - mu).square().sum() * -0.5
    }

    fn rows(&self, _shape: &Shape, _rows: &[usize]) -> Option<Self> {
        Some(Self { whole: false })
    }
}

#[test]
fn of_a_million_rows_only_those_looked_up_are_drawn() {
    let device = Device::flex();
    let rows = 1_000_000;
    let layer = BayesianEmbedding {
        weight: Initializer::Zeros.init([rows, 4], &device),
        padding_idx: None,
        max_norm: None,
        norm_type: 2.0,
    };
    let layer =
        layer.attach_posteriors(|_| Some((RowsOnly { whole: true }, NormalPrior::new(1.0))));
    let last = Tensor::<2, Int>::from_ints([[3, 999_999]], &device);
    let drawn = layer.with_draw(5, 1, |layer| values(layer.forward(last)));
    let noise = NoiseKey::new(5, 1, 0);
    for (element, value) in [
        (12, drawn[0]),
        (4 * 999_999, drawn[4]),
        (4 * 999_999 + 3, drawn[7]),
    ] {
        assert_eq!(f64::from(noise.standard_normal_at(element)), value);
    }
}

#[test]
fn a_posterior_without_rows_draws_its_table() {
    let device = Device::flex();
    let layer = BayesianEmbedding {
        weight: Initializer::Zeros.init([10, 5], &device),
        padding_idx: None,
        max_norm: None,
        norm_type: 2.0,
    };
    let layer = layer.attach_posteriors(|_| Some((WholeOnly { std: 1.0 }, NormalPrior::new(1.0))));
    let _draw = layer.draw(1, 0);
    let output = values(layer.forward(words(&device)));
    assert_eq!(output[0..5], values(layer.weight.val())[20..25]);
}

#[derive(Module, Debug)]
struct WholeOnly {
    std: f64,
}

impl Posterior for WholeOnly {
    fn sample<const D: usize>(&self, mu: Tensor<D>, noise: &mut Noise) -> Tensor<D> {
        let epsilon = noise.standard_normal(&mu);
        mu + epsilon * self.std
    }

    fn std_dev<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
        mu.ones_like() * self.std
    }

    fn log_density<const D: usize>(&self, mu: Tensor<D>, weight: Tensor<D>) -> Tensor<1> {
        (weight - mu).square().sum() * -0.5
    }
}

#[test]
fn padding_is_zero_and_passes_no_gradient_on() {
    let device = Device::flex().autodiff();
    let layer = config().with_padding_idx(Some(0)).init(&device);
    let output = layer.forward(words(&device));
    let got = values(output.clone());
    assert!(got[5..10].iter().chain(&got[25..30]).all(|v| *v == 0.0));
    assert!(got[..5].iter().all(|v| *v != 0.0));
    let grads = (output + 1.0).powf_scalar(3.0).sum().backward();
    let mu = values(layer.weight.base().grad(&grads).unwrap());
    let rho = rho_gradient(&layer, &grads);
    for gradient in [&mu, &rho] {
        for (row, gradient) in gradient.chunks(5).enumerate() {
            let looked_up = [2, 4, 9].contains(&row);
            assert!(
                gradient.iter().all(|g| (*g != 0.0) == looked_up),
                "row {row}"
            );
        }
    }
    // Nothing but padding.
    let padding = Tensor::<2, Int>::zeros([2, 3], &device);
    let output = layer.forward(padding);
    assert_eq!(output.dims(), [2, 3, 5]);
    assert!(values(output).iter().all(|v| *v == 0.0));
}

#[test]
fn the_stored_means_of_padding_are_zero() {
    let device = Device::flex().autodiff();
    let means = |padding_idx| {
        let layer = config().with_padding_idx(padding_idx).init(&device);
        assert!(layer.weight.base().is_require_grad());
        let [rows, width] = layer.weight.base().dims();
        (0..rows)
            .map(|row| values(layer.weight.base().slice([row..row + 1, 0..width])))
            .map(|row| row.iter().all(|mean| *mean == 0.0))
            .collect::<Vec<_>>()
    };
    assert!(!means(None).contains(&true));
    for padding_idx in [0, 3] {
        let is_zero = means(Some(padding_idx));
        let zeros: Vec<_> = (0..is_zero.len()).filter(|row| is_zero[*row]).collect();
        assert_eq!(zeros, [padding_idx]);
    }
}

#[test]
fn padding_pays_no_kl() {
    let device = Device::flex().autodiff();
    let std: f64 = 0.3;
    let config = config().with_initializer(Initializer::Constant { value: 0.5 });
    let per_weight = -std.ln() + (std * std + 0.25) / 2.0 - 0.5;
    for (padding_idx, rows) in [(None, 10.0), (Some(0), 9.0), (Some(9), 9.0)] {
        let layer = config.clone().with_padding_idx(padding_idx).init(&device);
        let kl = layer.kl_cost();
        let want = rows * 5.0 * per_weight;
        let got = values(kl.clone())[0];
        assert!(
            (got - want).abs() < 1e-4 * want,
            "{padding_idx:?}: {got} for {want}"
        );
        let grads = kl.backward();
        let mu = values(layer.weight.base().grad(&grads).unwrap());
        let rho = rho_gradient(&layer, &grads);
        for gradient in [mu, rho] {
            for (row, gradient) in gradient.chunks(5).enumerate() {
                let pays = Some(row) != padding_idx;
                assert!(gradient.iter().all(|g| (*g != 0.0) == pays), "row {row}");
            }
        }
    }
    // Nor where the KL is estimated at the draw's weights.
    let prior = PriorConfig::scale_mixture(0.5, 1.0, 0.1);
    let layer = config
        .with_prior(prior)
        .with_padding_idx(Some(3))
        .init(&device);
    let _draw = layer.draw(1, 0);
    assert_eq!(layer.kl_terms()[0].estimator, KlEstimator::MonteCarlo);
    let grads = layer.kl_cost().backward();
    let mu = values(layer.weight.base().grad(&grads).unwrap());
    assert!(mu[15..20].iter().all(|g| *g == 0.0) && mu[..15].iter().all(|g| *g != 0.0));
}

#[test]
fn padding_that_a_tied_head_reads_pays_if_it_is_set_after_the_layer_was_made() {
    let device = Device::flex().autodiff();
    let mut layer = config().init(&device);
    layer.padding_idx = Some(0);
    let padding = Tensor::<2, Int>::zeros([1, 2], &device);
    assert!(values(layer.forward(padding)).iter().all(|v| *v == 0.0));
    let all = layer.draw(1, 0);
    let head = layer.weight.val().sum().backward();
    drop(all);
    let kl = layer.kl_cost().backward();
    for gradients in [head, kl] {
        let of_row = rho_gradient(&layer, &gradients)[..5].to_vec();
        assert!(of_row.iter().all(|g| *g != 0.0), "{of_row:?}");
    }
}

/// Every built-in posterior of independent rows, and the one whose part is of the same family.
fn posteriors() -> [PosteriorConfig; 5] {
    [
        PosteriorConfig::normal(0.1),
        PosteriorConfig::laplace(0.1),
        PosteriorConfig::student_t(3.0, 0.1),
        PosteriorConfig::matrix_normal(0.1),
        PosteriorConfig::low_rank_normal(2, 0.1),
    ]
}

#[test]
fn three_rows_of_two_with_padding_pay_for_four_weights() {
    let config = BayesianEmbeddingConfig::new(3, 2)
        .with_posterior(PosteriorConfig::laplace(0.1))
        .with_initializer(Initializer::Zeros);
    let kl = |config: &BayesianEmbeddingConfig| values(config.init(&Device::flex()).kl_cost())[0];
    let (with, without) = (kl(&config.clone().with_padding_idx(Some(0))), kl(&config));
    // −(1 + ln 2b) + ½ ln 2π + ½ 0.1² of a Laplace distribution with b = 0.1 / √2, for each weight.
    let b = 0.1 / 2f64.sqrt();
    let per_weight = -(1.0 + (2.0 * b).ln()) + 0.5 * std::f64::consts::TAU.ln() + 0.005;
    assert!((with - 4.0 * per_weight).abs() < 1e-4, "{with}");
    assert!((without - 6.0 * per_weight).abs() < 1e-4, "{without}");
}

/// A table without the row of padding, in the place of one with it.
fn without_row(layer: &BayesianEmbedding, row: usize) -> BayesianEmbedding {
    struct Rows(usize);

    impl burn::module::ModuleMapper for Rows {
        fn map_float<const D: usize>(
            &mut self,
            param: burn::module::Param<Tensor<D>>,
        ) -> burn::module::Param<Tensor<D>> {
            let shape = param.shape();
            // One number a weight, one a row, or the factors; but not one a column.
            let rows = match shape[0] {
                4 | 12 => 4,
                _ => return param,
            };
            let kept: Vec<i64> = (0..4).filter(|r| *r != self.0 as i64).collect();
            param.map(|tensor| {
                let dims: Vec<usize> = tensor.shape().to_vec();
                let elements = tensor.shape().num_elements();
                let table = tensor.reshape([rows, elements / rows]);
                let kept = Tensor::<1, Int>::from_ints(kept.as_slice(), &table.device());
                let mut shape = dims;
                shape[0] = shape[0] / 4 * 3;
                let shape: [usize; D] = shape.try_into().unwrap();
                table.select(0, kept).reshape(shape)
            })
        }
    }

    let mut layer = layer.clone().map(&mut Rows(row));
    layer.padding_idx = None;
    layer
}

#[test]
fn padding_pays_no_kl_under_any_posterior_and_prior() {
    let device = Device::flex().autodiff();
    for posterior in posteriors() {
        let of_a_group = PriorConfig::empirical_normal(Some("all"));
        for prior in priors().into_iter().chain([of_a_group]) {
            let what = format!("{posterior:?} under {prior:?}");
            let config = BayesianEmbeddingConfig::new(4, 3)
                .with_posterior(posterior.clone())
                .with_prior(prior);
            let layer = seeded(config.with_padding_idx(Some(1)).init(&device), 3);
            let _draw = layer.draw(1, 0);
            let terms = layer.kl_terms();
            let kl = terms[0].value.clone();
            if terms[0].estimator == KlEstimator::ClosedForm {
                // A table of the three other rows, which knows nothing of padding, is its own witness.
                let three = values(plain_kl(&without_row(&layer, 1)))[0];
                let four = values(kl.clone())[0];
                assert!(
                    (three - four).abs() < 1e-4 * three.abs(),
                    "{what}: {four} for {three}"
                );
            }
            // Neither KL nor loss moves anything of the padding row.
            let words = Tensor::<2, Int>::from_ints([[1, 0, 3], [2, 1, 1]], &device);
            let output = layer.forward(words);
            let got = values(output.clone());
            for padding in [0, 4, 5] {
                assert!(
                    got[3 * padding..3 * padding + 3].iter().all(|v| *v == 0.0),
                    "{what}"
                );
            }
            let loss = output.powf_scalar(2.0).sum() + kl;
            assert_row_has_no_gradient(&layer, &loss.backward(), &what);
        }
    }
}

/// The KL of a table without padding, in a posterior that is attached anew: with nothing left out.
fn plain_kl(layer: &BayesianEmbedding) -> Tensor<1> {
    let attached = layer
        .weight
        .reparameterization::<BuiltinVariational>()
        .unwrap();
    let (posterior, prior) = (attached.posterior.clone(), attached.prior.clone());
    let layer = layer.clone().valid().mean_network();
    let layer = layer.attach_posteriors(|_| Some((posterior.valid(), prior.valid())));
    layer.kl_cost()
}

fn assert_row_has_no_gradient(layer: &BayesianEmbedding, grads: &Gradients, what: &str) {
    struct Look<'a>(&'a Gradients, &'a str, usize);

    impl burn::module::ModuleVisitor for Look<'_> {
        fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
            let rows = match param.shape()[0] {
                4 | 12 => 4,
                _ => return,
            };
            let gradient = values(param.val().grad(self.0).unwrap());
            let length = gradient.len() / rows;
            for (row, gradient) in gradient.chunks(length).enumerate() {
                let moves = gradient.iter().any(|g| *g != 0.0);
                assert_eq!(moves, row != 1, "{}: row {row}: {gradient:?}", self.1);
            }
            self.2 += 1;
        }
    }

    let mut look = Look(grads, what, 0);
    layer.visit(&mut look);
    assert!(look.2 >= 2, "{what}");
}

#[test]
fn the_row_of_a_radial_posterior_is_counted_since_it_is_of_the_whole_table() {
    let kl = |padding: Option<usize>| {
        let config = BayesianEmbeddingConfig::new(3, 2)
            .with_posterior(PosteriorConfig::radial(0.1))
            .with_initializer(Initializer::Zeros);
        values(
            config
                .with_padding_idx(padding)
                .init(&Device::flex())
                .kl_cost(),
        )[0]
    };
    assert_eq!(kl(Some(0)), kl(None));
}

#[test]
fn a_table_of_padding_alone_has_a_kl_of_zero() {
    let device = Device::flex().autodiff();
    let config = BayesianEmbeddingConfig::new(1, 2).with_padding_idx(Some(0));
    let layer = config.init(&device);
    let kl = layer.kl_cost();
    assert_eq!(values(kl.clone()), [0.0]);
    let grads = kl.backward();
    assert_eq!(values(layer.weight.base().grad(&grads).unwrap()), [0.0; 2]);
}

#[test]
fn a_posterior_that_takes_the_place_of_another_leaves_padding_out_as_well() {
    let device = Device::flex();
    let config = BayesianEmbeddingConfig::new(3, 2)
        .with_initializer(Initializer::Constant { value: 0.5 })
        .with_padding_idx(Some(0));
    let layer = config.init(&device);
    let kl = |layer: &BayesianEmbedding| values(layer.kl_cost())[0];

    let laplace = BayesianizeConfig::new()
        .with_posterior(PosteriorConfig::laplace(0.1))
        .replace_existing();
    let replaced = layer.clone().bayesianize(&laplace);
    let fresh = config
        .clone()
        .with_posterior(PosteriorConfig::laplace(0.1))
        .init(&device);
    assert_eq!(kl(&replaced), kl(&fresh));

    let own = layer.clone().replace_posteriors(|weight| {
        let posterior = NormalPosteriorConfig::new().init(weight.shape, weight.device);
        Some((posterior, NormalPrior::new(1.0)))
    });
    assert_eq!(kl(&own), kl(&layer));

    // MOPED's prior has a centre for each weight, of which those of the other rows are taken.
    let papers = MopedConfig::new().with_prior(Some(PriorConfig::normal(1.0)));
    let moped = layer.clone().moped(&papers);
    let std: f64 = 0.05;
    let per_weight = -std.ln() + std * std / 2.0 - 0.5;
    assert!((kl(&moped) - 4.0 * per_weight).abs() < 1e-4);
    let mixture = MopedConfig::new().with_prior(Some(PriorConfig::scale_mixture(0.5, 1.0, 0.1)));
    let moped = layer.moped(&mixture);
    assert!(values(moped.with_draw(1, 0, |layer| layer.kl_cost()))[0].is_finite());
}

#[test]
fn padding_is_not_pruned_and_not_counted_among_what_could_be() {
    let config = BayesianEmbeddingConfig::new(3, 2)
        .with_initializer(Initializer::Zeros)
        .with_padding_idx(Some(0));
    let layer = config.init(&Device::flex());
    let (layer, report) = layer.prune_by_signal_to_noise(0.5);
    assert_eq!((report.pruned, report.total), (2, 4));
    assert_eq!(report.tensors[0].total, 4);
    let mean = values(layer.mean_network().weight.val());
    assert_eq!(mean.len(), 6);
}

#[test]
fn drawn_vectors_are_no_longer_than_the_maximal_norm() {
    let device = Device::flex();
    let free = seeded(config().init(&device), 5);
    for (p, norm_type) in [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0), (0.0, f64::INFINITY)] {
        // Between the norms of the rows, so that some are scaled and some are not.
        let norm = |row: &[f64]| -> f64 {
            match norm_type.is_infinite() {
                true => row.iter().fold(0.0, |max, v| v.abs().max(max)),
                false => row
                    .iter()
                    .map(|v| v.abs().powf(p))
                    .sum::<f64>()
                    .powf(1.0 / p),
            }
        };
        let plain = free.with_draw(2, 0, |layer| values(layer.forward(words(&device))));
        let mut norms: Vec<f64> = plain.chunks(5).map(norm).collect();
        norms.sort_by(f64::total_cmp);
        norms.dedup();
        let max_norm = (norms[1] + norms[2]) / 2.0;
        let layer = BayesianEmbedding {
            max_norm: Some(max_norm),
            norm_type,
            ..free.clone()
        };
        let scaled = layer.with_draw(2, 0, |layer| values(layer.forward(words(&device))));
        let mut changed = 0;
        for (plain, scaled) in plain.chunks(5).zip(scaled.chunks(5)) {
            let norm = norm(plain);
            if norm <= max_norm {
                assert_eq!(plain, scaled);
                continue;
            }
            changed += 1;
            for (plain, scaled) in plain.iter().zip(scaled) {
                assert!(
                    (plain * max_norm / norm - scaled).abs() < 1e-5,
                    "p {norm_type}"
                );
            }
        }
        assert!(changed > 0 && changed < 6);
    }
}

#[test]
fn zeros_are_no_part_of_a_norm_of_any_power() {
    let device = Device::flex().autodiff();
    let mut table = [[0.0f32; 100]; 3];
    table[1][3] = -1.0;
    (table[2][0], table[2][99]) = (0.5, 0.5);
    for p in [0.05, 0.1, 0.2, 0.9, 1.0, 3.0, 40.0] {
        let layer = BayesianEmbedding {
            weight: Param::from_tensor(Tensor::from_floats(table, &device)),
            padding_idx: None,
            max_norm: Some(0.25),
            norm_type: p,
        };
        let words = Tensor::<2, Int>::from_ints([[0, 1, 2]], &device);
        let output = layer.forward(words);
        let gradients = (output.clone() + 1.0).square().sum().backward();
        let gradients = values(layer.weight.grad(&gradients).unwrap());
        assert!(gradients.iter().all(|g| g.is_finite()), "p {p}");
        let output = values(output);
        assert!(output[..100].iter().all(|value| *value == 0.0), "p {p}");
        // Of norms 1 and 2^(1/p) / 2.
        assert!((output[103] / -0.25 - 1.0).abs() < 1e-5, "p {p}");
        let expected = 0.25 / 2f64.powf(1.0 / p);
        for value in [output[200], output[299]] {
            assert!((value / expected - 1.0).abs() < 1e-4, "p {p}: {value}");
        }
    }
}

#[test]
fn a_bound_beyond_all_numbers_is_none() {
    let device = Device::flex();
    let free = seeded(config().init(&device), 5);
    let drawn = |layer: &BayesianEmbedding| {
        layer.with_draw(2, 0, |layer| values(layer.forward(words(&device))))
    };
    // The second is more than `f32` holds.
    for max_norm in [f64::INFINITY, 1e39] {
        let layer = BayesianEmbedding {
            max_norm: Some(max_norm),
            ..free.clone()
        };
        assert_eq!(drawn(&layer), drawn(&free), "{max_norm}");
        let moments = layer.with_moments(|layer| layer.forward_moments(words(&device)));
        assert!(moments.unwrap().variance.is_some());
    }
}

#[test]
fn a_norm_of_a_high_power_neither_over_nor_underflows() {
    let device = Device::flex();
    let row = |vector: [f32; 2], p: f64, max_norm: f64| {
        let layer = BayesianEmbeddingConfig::new(1, 2).init(&device);
        let weight = Tensor::<2>::from_floats([vector], &device);
        let layer = BayesianEmbedding {
            weight: burn::module::Param::from_tensor(weight),
            max_norm: Some(max_norm),
            norm_type: p,
            ..layer
        };
        values(layer.forward(Tensor::<2, Int>::zeros([1, 1], &device)))
    };
    let close = |got: Vec<f64>, expected: [f64; 2]| {
        for (got, expected) in got.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-6, "{got} for {expected}");
        }
    };
    close(row([3.0, 1.0], 100.0, 1.0), [1.0, 1.0 / 3.0]);
    close(row([0.02, 0.01], 50.0, 0.1), [0.02, 0.01]);
    close(row([0.0, 0.0], 3.0, 0.1), [0.0, 0.0]);
}

#[test]
fn the_gradient_of_the_maximal_norm_is_that_of_the_scaling() {
    // d/dw of w·max/|w| against a direction is orthogonal to w: scaling a long row up changes nothing.
    let device = Device::flex().autodiff();
    let layer = config()
        .with_max_norm(Some(0.5))
        .with_initializer(Initializer::Normal {
            mean: 0.0,
            std: 3.0,
        })
        .init(&device);
    let one = Tensor::<2, Int>::from_ints([[1]], &device);
    let _mean = Draw::mean();
    let grads = layer.forward(one).powf_scalar(3.0).sum().backward();
    let gradient = values(layer.weight.base().grad(&grads).unwrap());
    let row = values(layer.weight.base());
    let (gradient, row) = (&gradient[5..10], &row[5..10]);
    let dot: f64 = gradient.iter().zip(row).map(|(g, w)| g * w).sum();
    let size: f64 = gradient.iter().zip(row).map(|(g, w)| (g * w).abs()).sum();
    assert!(size > 0.0 && dot.abs() < 1e-4 * size, "{dot} of {size}");
    // A row of zeros has a finite one.
    let layer = config()
        .with_max_norm(Some(0.5))
        .with_initializer(Initializer::Zeros)
        .init(&device);
    let one = Tensor::<2, Int>::from_ints([[1]], &device);
    let grads = layer.forward(one).sum().backward();
    let gradient = values(layer.weight.base().grad(&grads).unwrap());
    assert!(gradient[5..10].iter().all(|g| *g == 1.0));
}

#[test]
fn a_saved_and_loaded_layer_gives_the_same_draw() {
    let device = Device::flex();
    let layer = config().with_padding_idx(Some(2)).init(&device);
    let loaded = config()
        .with_padding_idx(Some(2))
        .init(&device)
        .load_record(layer.clone().into_record());
    let of = |layer: &BayesianEmbedding| {
        layer.with_draw(8, 1, |layer| values(layer.forward(words(&device))))
    };
    assert_eq!(of(&layer), of(&loaded));
    // What is left out of the KL survives the way to validation and back.
    let layer = config()
        .with_padding_idx(Some(2))
        .init(&Device::flex().autodiff());
    let kl = values(layer.kl_cost());
    assert_eq!(kl, values(layer.valid().train().kl_cost()));
}

#[test]
fn the_configuration_survives_json() {
    let config = config().with_padding_idx(Some(1)).with_max_norm(Some(2.5));
    let json = serde_json::to_string(&config).unwrap();
    let back = BayesianEmbeddingConfig::load_binary(json.as_bytes()).unwrap();
    assert_eq!(format!("{config:?}"), format!("{back:?}"));
}

#[test]
fn display() {
    let layer = config().with_padding_idx(Some(0)).init(&Device::flex());
    assert_eq!(
        layer.to_string(),
        "BayesianEmbedding {n_embedding: 10, d_model: 5, posterior: Normal, prior: Normal, padding_idx: Some(0), \
         max_norm: None, params: 100}"
    );
}

#[test]
#[should_panic(expected = "index 10 is outside the vocabulary of 10")]
fn an_index_beyond_the_vocabulary_is_refused() {
    let device = Device::flex();
    let index = Tensor::<2, Int>::from_ints([[3, 10]], &device);
    config().init(&device).forward(index);
}

#[test]
#[should_panic(expected = "index -1 is outside the vocabulary of 10")]
fn a_negative_index_is_refused() {
    let device = Device::flex();
    let index = Tensor::<2, Int>::from_ints([[-1]], &device);
    config().init(&device).forward(index);
}

#[test]
#[should_panic(expected = "padding_idx 10 is outside the vocabulary of 10")]
fn padding_outside_the_vocabulary_is_refused() {
    config().with_padding_idx(Some(10)).init(&Device::flex());
}

#[test]
#[should_panic(expected = "max_norm must be positive, got -1")]
fn a_negative_norm_is_refused() {
    config().with_max_norm(Some(-1.0)).init(&Device::flex());
}
