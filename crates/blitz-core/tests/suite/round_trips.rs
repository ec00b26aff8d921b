//! What is written of random modules and configurations is read back: records by Burn's reader, configurations as JSON.

use blitz_core::prelude::*;
use burn::config::Config;
use burn::module::{Module, ModuleMapper, Param};
use burn::nn::Linear;
use burn::store::ModuleRecord;
use burn::tensor::{Device, Tensor};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::net::{linear, scalar, values};

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(20),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// A number whose few digits any reader of text reads exactly.
fn number() -> impl Strategy<Value = f64> {
    (1..256).prop_map(|count| f64::from(count) / 64.0)
}

/// A posterior of each family, with these numbers.
fn posterior(family: usize, rank: usize, a: f64, b: f64) -> PosteriorConfig {
    match family {
        0 => PosteriorConfig::normal(a),
        1 => PosteriorConfig::laplace(a),
        2 => PosteriorConfig::student_t(2.0 + b, a),
        3 => PosteriorConfig::radial(a),
        4 => PosteriorConfig::low_rank_normal(rank, a),
        5 => PosteriorConfig::full_rank_normal(a),
        _ => PosteriorConfig::matrix_normal(a),
    }
}

/// A prior of each family, with these numbers.
fn prior(family: usize, a: f64, b: f64) -> PriorConfig {
    match family {
        0 => PriorConfig::normal(a),
        1 => PriorConfig::learned_normal(a),
        2 => PriorConfig::scale_mixture(b / 5.0, a + b, b),
        3 => PriorConfig::empirical_normal((b > 2.0).then_some("shared")),
        4 => PriorConfig::laplace(a),
        5 => PriorConfig::learned_laplace(a),
        6 => PriorConfig::student_t(b, a),
        _ => PriorConfig::horseshoe(a),
    }
}

/// Moves every number of a module by another amount, so that none is where it began.
struct Move(f32);

impl ModuleMapper for Move {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| {
            let amounts: Vec<f32> = (0..tensor.shape().num_elements())
                .map(|i| 0.3 * (self.0 + i as f32).sin())
                .collect();
            self.0 += 10.7;
            let amounts = Tensor::<1>::from_floats(amounts.as_slice(), &tensor.device());
            tensor.clone() + amounts.reshape(tensor.shape())
        })
    }
}

/// What a draw of the layer answers, and its KL.
fn said(layer: &Linear, inputs: usize) -> (Vec<u32>, u64) {
    let x = Tensor::<2>::ones([2, inputs], &Device::flex());
    layer.with_draw(3, 0, |layer| {
        let output = values(layer.forward(x.clone()));
        let bits = output.iter().map(|value| value.to_bits()).collect();
        (bits, scalar(layer.kl_cost()).to_bits())
    })
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn whatever_is_saved_of_a_layer_is_restored(
        families in (0..7usize, 0..8usize),
        rank in 1..4usize,
        numbers in prop::array::uniform4(number()),
        others in prop::array::uniform4(number()),
        size in (1..5usize, 1..5usize),
        bias in any::<bool>(),
        moved in 0.0..100f32,
    ) {
        let layer = |numbers: [f64; 4]| {
            let [a, b, c, d] = numbers;
            // The group is no number: it is the module's.
            let d = if families.1 == 3 { 1.0 } else { d };
            let config = BayesianizeConfig::new()
                .with_posterior(posterior(families.0, rank, a, b))
                .with_prior(prior(families.1, c, d));
            linear(size.0, size.1, bias, 0.5, &Device::flex()).bayesianize(&config)
        };
        let bytes = |layer: &Linear| layer.clone().into_record().into_bytes().unwrap();
        let saved = layer(numbers).map(&mut Move(moved));
        let record = ModuleRecord::from_bytes(bytes(&saved)).unwrap();
        let loaded = layer(others).try_load_record(record);
        let loaded = loaded.map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(said(&loaded, size.0), said(&saved, size.0));
        prop_assert!(bytes(&loaded) == bytes(&saved), "the record of what was loaded is another");
    }

    #[test]
    fn whatever_configuration_is_written_is_read(
        families in (0..7usize, 0..8usize),
        rank in 1..9usize,
        numbers in prop::array::uniform4(number()),
        name in "[a-z]{1,8}(\\.[a-z0-9]{1,4}){0,2}",
        least in 0..5usize,
        filter in 0..5usize,
        existing in 0..3usize,
    ) {
        let [a, b, c, d] = numbers;
        let posterior = posterior(families.0, rank, a, b);
        let prior = prior(families.1, c, d);
        let text = posterior.to_string();
        prop_assert_eq!(PosteriorConfig::load_binary(text.as_bytes()).unwrap(), posterior.clone());
        let text = prior.to_string();
        prop_assert_eq!(PriorConfig::load_binary(text.as_bytes()).unwrap(), prior.clone());

        let filter = match filter {
            0 => WeightFilter::all(),
            1 => WeightFilter::path(name.as_str()),
            2 => WeightFilter::layer(name.as_str()),
            3 => WeightFilter::last_layer(),
            _ => WeightFilter::matrices(),
        };
        let rule = WeightRule::of(filter.clone()).prior(prior.clone());
        let mut config = BayesianizeConfig::new()
            .with_posterior(posterior)
            .with_prior(prior)
            .only(filter)
            .skip(WeightFilter::MinRank(least))
            .rule(rule);
        config = match existing {
            0 => config,
            1 => config.keep_existing(),
            _ => config.replace_existing(),
        };
        let text = config.to_string();
        let read = BayesianizeConfig::load_binary(text.as_bytes()).unwrap();
        prop_assert_eq!(read.to_string(), text);
        prop_assert_eq!(format!("{read:?}"), format!("{config:?}"));
    }
}
