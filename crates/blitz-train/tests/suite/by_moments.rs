//! Training by moments on Burn's Learner.

use blitz_train::blitz_core::deviation::std_from_rho;
use blitz_train::blitz_layers::moments::{ForwardMoments, Moments};
use blitz_train::prelude::*;
use blitz_train::{
    CoverageMetric, DrawCache, ExpectedNll, MomentsLikelihood, MomentsNetwork, predict_moments,
};
use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor};
use burn::train::metric::LossMetric;
use burn::train::{InferenceStep, Learner, SupervisedTraining, TrainStep};

use crate::learner::Net;
use crate::line::{Rows, line};
use crate::{scalar, values};

impl ForwardMoments<Moments<2>> for Net {
    type Output = Moments<2>;

    fn forward_moments(&self, x: Moments<2>) -> Moments<2> {
        self.layer.forward_moments(x)
    }
}

type Model = ElboModel<MomentsNetwork<Net>, MomentsLikelihood<GaussianLikelihood>>;

const NOISE: f64 = 0.2;

fn model(posterior: PosteriorConfig) -> Model {
    let device = Device::flex().autodiff();
    device.seed(3);
    let config = BayesianLinearConfig::new(1, 1).with_posterior(posterior);
    let likelihood = GaussianLikelihoodConfig::new()
        .with_noise(LikelihoodParam::Fixed(NOISE))
        .init(&device);
    let network = Net {
        layer: config.init(&device),
    };
    ElboModel::new(
        MomentsNetwork { network },
        MomentsLikelihood { likelihood },
        ElboConfig::new(line().len())
            .with_validation_samples(1)
            .init(),
    )
}

fn batch() -> Rows {
    RowBatcher.batch(line(), &Device::flex().autodiff())
}

/// No noise of draws is left: the Learner ends at the optimum of the mean field, which is known.
#[test]
fn the_learner_reaches_the_exact_posterior() {
    let folder = tempfile::tempdir().unwrap();
    let loader = || {
        DataLoaderBuilder::new(RowBatcher)
            .batch_size(40)
            .build(InMemDataset::new(line()))
    };
    let training = SupervisedTraining::new(folder.path(), loader(), loader())
        .metrics((
            LossMetric::new(),
            NllMetric::new(),
            KlMetric::new(),
            RmseMetric::new(),
            CoverageMetric::new(0.95),
        ))
        .with_application_logger(None)
        .renderer(Box::new(EpochLines::to(std::io::sink(), 1)))
        .num_epochs(1000);
    let start = model(PosteriorConfig::normal(0.1));
    let fitted = fit(
        training,
        Learner::new(start, FusedAdamConfig::new().init(), 0.02),
    );
    let layer = fitted.unwrap().model.network.network.layer;

    // Of weight and bias: precisions Σ x² / σ² + 1 and n / σ² + 1 of the mean field, and the mean of the joint
    // posterior.
    let (x, y): (Vec<f64>, Vec<f64>) = line()
        .into_iter()
        .map(|([x], [y])| (f64::from(x), f64::from(y)))
        .unzip();
    let sum = |f: &dyn Fn(usize) -> f64| (0..x.len()).map(f).sum::<f64>() / NOISE.powi(2);
    let (a, b, d) = (
        sum(&|i| x[i] * x[i]) + 1.0,
        sum(&|i| x[i]),
        sum(&|_| 1.0) + 1.0,
    );
    let (p, q) = (sum(&|i| x[i] * y[i]), sum(&|i| y[i]));
    let determinant = a * d - b * b;
    let mean = [(d * p - b * q) / determinant, (a * q - b * p) / determinant];
    let std = [a.powf(-0.5), d.powf(-0.5)];
    let means = [layer.weight.base().into_scalar::<f64>(), {
        let bias = layer.bias.as_ref().unwrap();
        bias.base().into_scalar::<f64>()
    }];
    let posteriors = layer.posteriors::<blitz_train::blitz_core::BuiltinPosterior>();
    for (k, attached) in posteriors.iter().enumerate() {
        let rho = attached.posterior.as_normal().unwrap().rho.val();
        let got = scalar(std_from_rho(rho));
        assert!((got / std[k] - 1.0).abs() < 0.01, "{got} for {}", std[k]);
        let off = (means[k] - mean[k]).abs();
        assert!(off < 0.02 * std[k], "{means:?} for {mean:?}, ± {std:?}");
    }
}

#[test]
fn a_step_is_that_of_the_elbo_by_moments_and_a_prediction_that_in_one_pass() {
    for posterior in [
        PosteriorConfig::normal(0.3),
        PosteriorConfig::full_rank_normal(0.3),
    ] {
        let model = model(posterior);
        let network = &model.network.network;
        let likelihood = &model.likelihood.likelihood;
        let expected = model.elbo().loss_by_moments(network, 0.into(), |net| {
            let moments = net.forward_moments(Moments::certain(batch().inputs));
            likelihood.expected_nll(moments, batch().targets)
        });
        let expected = expected.unwrap();
        let step = TrainStep::step(&model, batch());
        assert_eq!(scalar(step.item.loss), scalar(expected.loss.clone()));
        assert_eq!(scalar(step.item.kl), scalar(expected.kl));
        // Nothing of a validation is drawn either.
        let validation = InferenceStep::step(&model, batch());
        assert_eq!(scalar(validation.loss), scalar(expected.loss));

        let trained = model.valid();
        let x = Tensor::<2>::from_floats([[0.5], [-2.0]], &Device::flex());
        let predictive = trained.predict(x.clone(), 1, 0);
        let net = &trained.network.network;
        let wanted = predict_moments(net, x.clone(), &trained.likelihood.likelihood).unwrap();
        assert_eq!(predictive, wanted);
        let mean = values(net.with_mean(|net| net.forward(x)));
        for (got, mean) in predictive.mean().into_iter().zip(mean) {
            assert!((got - mean).abs() < 1e-5, "{got} for {mean}");
        }
    }
}

#[test]
#[should_panic(expected = "correlate their weights")]
fn a_network_without_moments_is_named() {
    model(PosteriorConfig::low_rank_normal(1, 0.1)).predict(batch().inputs, 1, 0);
}

#[test]
fn predictions_take_one_pass_whatever_the_number_of_draws_and_the_cache() {
    let model = model(PosteriorConfig::full_rank_normal(0.3)).valid();
    let x = Tensor::<2>::from_floats([[0.5], [-2.0]], &Device::flex());
    let wanted = model.predict(x.clone(), 1, 0);
    assert!(wanted.epistemic_std()[0] > 0.1);
    assert_eq!(model.predict(x.clone(), 7, 3), wanted);
    for cache in [DrawCache::Kept, DrawCache::Redrawn] {
        for samples in [1, 20] {
            let config = PredictorConfig::new(samples).with_weights(cache);
            let predictor = config.init(&model.network, &model.likelihood);
            assert_eq!(predictor.predict(x.clone()).unwrap(), wanted);
        }
    }
}

#[test]
fn paths_and_records_are_those_of_a_training_by_draws() {
    let folder = tempfile::tempdir().unwrap();
    let by_moments = model(PosteriorConfig::normal(0.3));
    let Model {
        network: MomentsNetwork { network },
        likelihood: MomentsLikelihood { likelihood },
        ..
    } = by_moments.clone();
    let by_draws = ElboModel::new(network, likelihood, by_moments.elbo().clone());
    let paths = |terms: Vec<(String, Tensor<1>)>| {
        let paths = terms.into_iter().map(|(path, _)| path);
        paths.collect::<Vec<_>>()
    };
    let of_moments = paths(TrainStep::step(&by_moments, batch()).item.kl_terms);
    assert_eq!(of_moments, ["layer.weight", "layer.bias"]);
    let of_draws = TrainStep::step(&by_draws, batch()).item.kl_terms;
    assert_eq!(of_moments, paths(of_draws));

    let weight = |net: &Net| net.layer.weight.base().into_scalar::<f32>();
    let other = || model(PosteriorConfig::normal(0.1)).map(&mut Nudge);
    by_draws.save(folder.path().join("draws")).unwrap();
    let loaded = other().load(folder.path().join("draws")).unwrap();
    assert_eq!(weight(&loaded.network.network), weight(&by_draws.network));
    other().save(folder.path().join("moments")).unwrap();
    let loaded = by_draws.clone().load(folder.path().join("moments"));
    assert_eq!(
        weight(&loaded.unwrap().network),
        weight(&other().network.network)
    );
}

struct Nudge;

impl ModuleMapper for Nudge {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|value| {
            let trains = value.is_require_grad();
            (value + 0.5).detach().set_require_grad(trains)
        })
    }
}
