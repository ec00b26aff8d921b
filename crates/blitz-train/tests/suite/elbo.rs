//! The objective.

use blitz_train::ConfigError;
use blitz_train::prelude::*;
use burn::config::Config;
use burn::module::{Module, ModuleMapper, Param};
use burn::nn::LinearConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{DType, Device, Tensor};

use crate::{scalar, values};

fn model(device: &Device, prior: PriorConfig) -> burn::nn::Linear {
    LinearConfig::new(2, 1).init(device).bayesianize(
        &BayesianizeConfig::new()
            .with_posterior(PosteriorConfig::normal(0.4))
            .with_prior(prior),
    )
}

fn priors() -> [PriorConfig; 2] {
    // A closed form, and a Monte Carlo estimate.
    [
        PriorConfig::normal(1.0),
        PriorConfig::scale_mixture(0.5, 1.0, 0.1),
    ]
}

/// A closed form for the weight, and a Monte Carlo estimate for the bias.
fn of_both_kinds(device: &Device) -> burn::nn::Linear {
    let [closed_form, estimated] = priors();
    let bias = WeightRule::of("bias").prior(estimated);
    LinearConfig::new(2, 1).init(device).bayesianize(
        &BayesianizeConfig::new()
            .with_posterior(PosteriorConfig::normal(0.4))
            .with_prior(closed_form)
            .rule(bias),
    )
}

#[test]
fn the_loss_is_the_nll_plus_the_weighted_kl_over_the_data_sets_size() {
    let device = Device::flex();
    let x = Tensor::<2>::from_floats([[1.0, 2.0], [0.5, -1.0]], &device);
    let models = priors().map(|prior| model(&device, prior));
    for model in models.into_iter().chain([of_both_kinds(&device)]) {
        let elbo = ElboConfig::new(50)
            .with_samples(3)
            .with_seed(9)
            .with_beta(BetaSchedule::LinearWarmup { steps: 10, to: 0.8 })
            .init();
        let nll = |model: &burn::nn::Linear| model.forward(x.clone()).square().squeeze_dim::<1>(1);
        let loss = elbo.loss(&model, 5.into(), nll);
        assert_eq!(loss.beta, 0.4);

        // By hand, at the same draws.
        let (mut nlls, mut kls) = (0.0, 0.0);
        for sample in 0..3 {
            let _draw = model.draw(9, (5 << 32) | sample);
            nlls += scalar(nll(&model).mean()) / 3.0;
            kls += scalar(model.kl_cost()) / 3.0;
        }
        assert!((scalar(loss.nll) - nlls).abs() < 1e-5);
        assert!((scalar(loss.kl) - kls).abs() < 1e-4 * kls.abs());
        assert!((scalar(loss.loss) - (nlls + 0.4 * kls / 50.0)).abs() < 1e-5);
    }
}

#[test]
fn the_gradient_of_s_samples_is_the_mean_of_the_gradients_of_each() {
    let device = Device::flex().autodiff();
    let x = Tensor::<2>::from_floats([[1.0, 2.0], [0.5, -1.0]], &device);
    for prior in priors() {
        let model = model(&device, prior);
        let rho = || {
            let weight = model
                .weight
                .reparameterization::<blitz_train::blitz_core::BuiltinVariational>();
            weight.unwrap().posterior.as_normal().unwrap().rho.val()
        };
        let nll = |model: &burn::nn::Linear| model.forward(x.clone()).square().squeeze_dim::<1>(1);
        let elbo = ElboConfig::new(7).with_samples(3).init();
        let grads = elbo.loss(&model, 0.into(), nll).loss.backward();
        let together = [
            values(model.weight.base().grad(&grads).unwrap()),
            values(rho().grad(&grads).unwrap()),
        ];
        let mut separate = [vec![0.0; 2], vec![0.0; 2]];
        for sample in 0..3 {
            let _draw = model.draw(0, sample);
            let loss = nll(&model).mean() + model.kl_cost() / 7.0;
            let grads = loss.backward();
            let of_draw = [
                values(model.weight.base().grad(&grads).unwrap()),
                values(rho().grad(&grads).unwrap()),
            ];
            for (sum, gradient) in separate.iter_mut().zip(of_draw) {
                for (sum, gradient) in sum.iter_mut().zip(gradient) {
                    *sum += gradient / 3.0;
                }
            }
        }
        for (a, b) in together.iter().flatten().zip(separate.iter().flatten()) {
            assert!((a - b).abs() < 1e-5 * b.abs().max(1.0), "{a} {b}");
        }
    }
}

#[test]
fn steps_samples_and_accumulated_batches_all_have_draws_of_their_own() {
    let device = Device::flex();
    let model = model(&device, PriorConfig::default());
    let elbo = ElboConfig::new(1).with_samples(4).init();
    let mut seen = Vec::new();
    for index in 0..3 {
        for accumulated in 0..3 {
            let step = blitz_train::TrainingStep { index, accumulated };
            elbo.loss(&model, step, |model| {
                seen.push(values(model.weight.val()));
                Tensor::zeros([1], &device)
            });
        }
    }
    for (i, a) in seen.iter().enumerate() {
        assert!(seen[..i].iter().all(|b| a != b));
    }
    assert_eq!(seen.len(), 36);
}

#[test]
fn impossible_settings_are_errors_that_name_the_value() {
    let error = |config: ElboConfig| -> ConfigError { config.try_init().unwrap_err() };
    assert_eq!(error(ElboConfig::new(0)).field, "dataset_size");
    assert_eq!(error(ElboConfig::new(5).with_samples(0)).field, "samples");
    let none = ElboConfig::new(5).with_validation_samples(0);
    assert_eq!(
        error(none).to_string(),
        "validation_samples must be between 1 and 65535 draws, got 0"
    );
    let negative = ElboConfig::new(5).with_beta(BetaSchedule::Constant(-1.0));
    assert_eq!(
        error(negative).to_string(),
        "beta must be a finite weight of at least 0, got -1"
    );
    let nan = ElboConfig::new(5).with_beta(BetaSchedule::LinearWarmup {
        steps: 2,
        to: f64::NAN,
    });
    assert_eq!(error(nan).value, "NaN");
    let cyclic = |steps, rising, to| {
        let schedule = BetaSchedule::Cyclic { steps, rising, to };
        error(ElboConfig::new(5).with_beta(schedule)).to_string()
    };
    for (message, expected) in [
        (
            cyclic(0, 0.5, 1.0),
            "beta steps must be at least 1 step a cycle, got 0",
        ),
        (
            cyclic(9, 1.5, 1.0),
            "beta rising must be a share of the cycle, from 0 to 1, got 1.5",
        ),
        (
            cyclic(9, f64::NAN, 1.0),
            "beta rising must be a share of the cycle, from 0 to 1, got NaN",
        ),
        (
            cyclic(9, 0.5, -1.0),
            "beta must be a finite weight of at least 0, got -1",
        ),
    ] {
        assert_eq!(message, expected);
    }
    for empty in [
        BetaSchedule::Minibatches(0),
        BetaSchedule::RisingMinibatches(0),
    ] {
        let config = ElboConfig::new(5).with_beta(empty.clone());
        assert_eq!(
            error(config).to_string(),
            "beta minibatches must be at least 1 minibatch an epoch, got 0"
        );
        // And of one that no configuration has checked.
        let panic = std::panic::catch_unwind(|| empty.at(3)).unwrap_err();
        let message = panic.downcast_ref::<&str>().unwrap();
        assert!(message.ends_with("at least 1 of them, got 0"), "{message}");
    }
}

#[test]
#[should_panic(expected = "the batch has no examples")]
fn an_empty_batch_is_refused() {
    let device = Device::flex();
    let model = model(&device, PriorConfig::default());
    let elbo = ElboConfig::new(1).init();
    elbo.loss(&model, 0.into(), |_| Tensor::zeros([0], &device));
}

#[test]
fn a_configuration_read_back_is_the_one_saved() {
    let config = ElboConfig::new(455)
        .with_samples(3)
        .with_seed(u64::MAX)
        .with_beta(BetaSchedule::LinearWarmup {
            steps: 100,
            to: 1.0,
        });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("elbo.json");
    config.save(&file).unwrap();
    assert_eq!(ElboConfig::load(&file).unwrap(), config);
}

#[test]
fn losses_are_the_same_to_the_bit_when_repeated_and_close_on_another_backend() {
    #[allow(deprecated)] // ndarray stays supported here.
    let devices = [Device::flex(), Device::ndarray()];
    let flex = model(&devices[0], PriorConfig::default());
    let loss = |device: &Device| {
        let model = flex.clone().to_device(device);
        let x = Tensor::<2>::from_floats([[1.0, 2.0], [0.5, -1.0]], device);
        let elbo = ElboConfig::new(3).with_samples(5).init();
        let nll = |model: &burn::nn::Linear| model.forward(x.clone()).square().squeeze_dim::<1>(1);
        scalar(elbo.loss(&model, 2.into(), nll).loss)
    };
    assert_eq!(loss(&devices[0]), loss(&devices[0]));
    assert!((loss(&devices[0]) - loss(&devices[1])).abs() < 1e-5);
}

#[test]
fn the_validation_loss_repeats_and_has_the_settled_weight_of_the_kl() {
    let device = Device::flex();
    let x = Tensor::<2>::from_floats([[1.0, 2.0]], &device);
    let model = model(&device, PriorConfig::default());
    let elbo = ElboConfig::new(10)
        .with_beta(BetaSchedule::LinearWarmup { steps: 10, to: 0.5 })
        .init();
    let nll = |model: &burn::nn::Linear| model.forward(x.clone()).square().squeeze_dim::<1>(1);
    let loss = elbo.validation_loss(&model, nll);
    let expected = scalar(loss.nll.clone()) + 0.5 * scalar(loss.kl) / 10.0;
    assert!((scalar(loss.loss) - expected).abs() < 1e-5);
    assert_eq!(
        scalar(loss.nll),
        scalar(elbo.validation_loss(&model, nll).nll)
    );
}

/// 20,000 weights have a KL of some 68,600 nats, beyond the largest `f16`.
#[test]
fn the_loss_of_a_network_in_f16_is_finite_and_so_are_its_gradients() {
    struct Half;

    impl ModuleMapper for Half {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|tensor| tensor.cast(DType::F16).detach().require_grad())
        }
    }

    let device = Device::flex().autodiff();
    let network = BayesianLinearConfig::new(200, 100).init(&device);
    let exact = scalar(network.kl_cost());
    let network = network.map(&mut Half);
    let likelihood = GaussianLikelihoodConfig::new()
        .with_targets(100)
        .with_noise(LikelihoodParam::Fixed(1.0))
        .init(&device);
    let x = Tensor::<2>::ones([4, 200], &device).cast(DType::F16) * 0.1;
    let y = Tensor::<2>::ones([4, 100], &device).cast(DType::F16);
    let elbo = ElboConfig::new(1000).with_samples(2).init();
    let loss = elbo.loss(&network, 0.into(), |network| {
        likelihood.nll(network.forward(x.clone()), y.clone())
    });
    assert_eq!(loss.loss.dtype(), DType::F32);
    let kl = scalar(loss.kl.clone());
    assert!((kl / exact - 1.0).abs() < 1e-3, "{kl} instead of {exact}");
    assert!(scalar(loss.nll.clone()).is_finite() && scalar(loss.loss.clone()).is_finite());

    let grads = GradientsParams::from_grads(loss.loss.backward(), &network);
    let mut sgd = SgdConfig::new().init();
    let stepped = sgd.step(1e-3, network.clone(), grads);
    let weights = values(stepped.weight.base());
    assert!(weights.iter().all(|weight| weight.is_finite()));
    assert_ne!(weights, values(network.weight.base()));
}

/// The KL is `f32`, the negative log likelihood is not.
#[test]
fn a_loss_is_put_together_in_f32_at_least() {
    let device = Device::flex();
    let model = model(&device, PriorConfig::default());
    let elbo = ElboConfig::new(1000).init();
    for (dtype, expected) in [
        (DType::F16, DType::F32),
        (DType::BF16, DType::F32),
        (DType::F32, DType::F32),
        (DType::F64, DType::F64),
    ] {
        // Sums to more than f16 holds.
        let nll = Tensor::<1>::full([40], 3000.0, &device).cast(dtype);
        let loss = elbo.loss(&model, 0.into(), |_| nll.clone());
        for part in [&loss.loss, &loss.nll, &loss.kl] {
            assert_eq!(part.dtype(), expected);
        }
        assert!((scalar(loss.nll.clone()) - 3000.0).abs() < 10.0);
        let sum = scalar(loss.nll) + scalar(loss.kl) / 1000.0;
        assert!((scalar(loss.loss) - sum).abs() < 1e-3);
    }
}

/// A loss whose gradient is that of a noise alone, say.
fn loss_of_another_gradient(model: &burn::nn::Linear) {
    let nll = Tensor::<1>::ones([3], &Device::flex().autodiff()).require_grad();
    ElboConfig::new(3)
        .init()
        .loss(model, 0.into(), |_| nll.clone());
}

#[test]
#[should_panic(expected = "weight is to train and is not on the autodiff graph")]
fn a_loss_that_would_train_all_but_a_model_off_the_graph_is_refused() {
    loss_of_another_gradient(&model(&Device::flex(), PriorConfig::default()));
}

#[test]
fn a_frozen_model_may_stay_off_the_graph() {
    let model = model(&Device::flex(), PriorConfig::default());
    loss_of_another_gradient(&model.freeze());
}
