//! A device whose own type of number is `f16`. In a binary of its own: a device is configured before its first tensor,
//! and for the whole process.

use std::sync::LazyLock;

use blitz_train::blitz_core::Noise;
use blitz_train::blitz_core::kernels::{larger_moments, leaky_relu_moments, without_fused};
use blitz_train::blitz_layers::moments::{ForwardMoments, Moments};
use blitz_train::prelude::*;
use blitz_train::{IvonConfig, IvonPosterior, SwagConfig};
use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::LinearConfig;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{DType, Device, DeviceConfig, FloatDType, Tensor, TensorData};

static DEVICE: LazyLock<Device> = LazyLock::new(|| {
    let mut device = Device::flex();
    let config = DeviceConfig::default().float_dtype(FloatDType::F16);
    device.configure(config).unwrap();
    device
});

fn single(values: &[f32]) -> Tensor<1> {
    let data = TensorData::new(values.to_vec(), [values.len()]);
    Tensor::from_data(data, (&*DEVICE, DType::F32))
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

#[test]
fn rectified_moments_keep_their_type() {
    assert_eq!(Tensor::<1>::zeros([1], &*DEVICE).dtype(), DType::F16);
    // A variance that `f16` rounds to zero, and one that it has no number for.
    let means = || single(&[0.5, -1e-5, 300.0]);
    let variances = || single(&[0.3, 1e-9, 1e6]);
    let relu = || leaky_relu_moments(means(), variances(), 0.1);
    let larger = || larger_moments([means(), variances()], [variances(), variances()]);
    for (fused, plain) in [
        (relu(), without_fused(relu)),
        (larger(), without_fused(larger)),
    ] {
        for (fused, plain) in fused.into_iter().zip(plain) {
            assert_eq!(fused.dtype(), DType::F32);
            for (fused, plain) in values(fused).iter().zip(values(plain)) {
                assert!(
                    (fused - plain).abs() <= 1e-5 * plain.abs(),
                    "{fused} {plain}"
                );
            }
        }
    }
}

#[test]
fn a_network_in_half_precision_has_moments() {
    let device = &*DEVICE;
    let hidden = BayesianLinearConfig::new(3, 8).init(device);
    let output = BayesianLinearConfig::new(8, 2).init(device);
    let moments = || {
        let x = Moments::certain(Tensor::<2>::ones([4, 3], device));
        output.forward_moments(hidden.forward_moments(x).relu())
    };
    let (fused, plain) = (moments(), without_fused(moments));
    assert_eq!(fused.variance().dtype(), DType::F32);
    for (fused, plain) in values(fused.variance())
        .iter()
        .zip(values(plain.variance()))
    {
        assert!(
            plain > 0.0 && (fused / plain - 1.0).abs() < 1e-4,
            "{fused} {plain}"
        );
    }
}

#[test]
fn the_kl_of_nothing_is_a_sum_in_single_precision_too() {
    let layer = LinearConfig::new(3, 2).init(&DEVICE);
    assert_eq!(layer.weight.val().dtype(), DType::F16);
    assert_eq!(layer.kl_cost().dtype(), DType::F32);
}

#[test]
fn noise_for_single_precision_is_not_rounded_to_half() {
    let key = NoiseKey::new(1, 2, 3);
    let mut expected = vec![0.0; 8];
    key.fill_standard_normal(0, &mut expected);
    // Rows of a table are drawn on the host.
    let rows = Noise::new(key).of_rows(&[0, 1], 2);
    let normals = { rows }.standard_normal(&single(&[0.0; 8]).reshape([2, 4]));
    let expected: Vec<f64> = expected.into_iter().map(f64::from).collect();
    assert_eq!(values(normals), expected);
}

#[test]
fn swag_sees_deviations_whose_squares_half_precision_rounds_to_zero() {
    let weight = |value: f32| Param::from_tensor(Tensor::<1>::full([64], value, &*DEVICE));
    // Of the mean 0 and the variance 1e-8: all of it, or a half beside the last two deviations, `1e-4 · 6/7` and
    // `1e-4`, of which all weights share each.
    let low_rank = 0.5 * (36.0 / 49.0 + 1.0) * 1e-8;
    let cases = [
        (0, 1e-8, 1e-8 * (2f64 / 6400.0).sqrt()),
        (
            2,
            0.5e-8 + low_rank,
            low_rank * (2f64 / 100.0).sqrt() + 1e-10,
        ),
    ];
    for (rank, expected, error) in cases {
        let mut swag = SwagConfig::new().with_rank(rank).init(&weight(0.0));
        for _ in 0..4 {
            swag.collect(&weight(1e-4)).unwrap();
            swag.collect(&weight(-1e-4)).unwrap();
        }
        let draws = (0..100).flat_map(|draw| {
            let drawn = swag.sample_network(1, draw).val();
            assert_eq!(drawn.dtype(), DType::F16);
            values(drawn)
        });
        let variance = draws.map(|w| w * w).sum::<f64>() / 6400.0;
        assert!(
            (variance - expected).abs() < 5.0 * error,
            "rank {rank}: {variance} for {expected}"
        );
    }
}

/// What is attached to the weights of a module: path, type and values.
#[derive(Default)]
struct Attached {
    path: Vec<String>,
    parameters: Vec<(String, DType, Vec<f64>)>,
}

impl ModuleVisitor for Attached {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.path.iter().any(|name| name == "bayes") {
            let value = param.val();
            let (dtype, path) = (value.dtype(), self.path.join("."));
            self.parameters.push((path, dtype, values(value)));
        }
    }
}

fn attached<M: Module>(module: &M) -> Vec<(String, DType, Vec<f64>)> {
    let mut attached = Attached::default();
    module.visit(&mut attached);
    attached.parameters
}

/// In `f16` the neighbours of the ρ of 0.02 are 2e-3 away.
#[test]
fn a_small_step_moves_the_deviations_of_every_family_and_the_scales_of_priors() {
    let device = DEVICE.clone().autodiff();
    let normal = PosteriorConfig::normal(0.02);
    let of_families = [
        normal.clone(),
        PosteriorConfig::laplace(0.02),
        PosteriorConfig::student_t(4.0, 0.02),
        PosteriorConfig::radial(0.02),
        PosteriorConfig::low_rank_normal(2, 0.02),
        PosteriorConfig::matrix_normal(0.02),
        PosteriorConfig::full_rank_normal(0.02),
    ];
    let cases = of_families.map(|family| (family, PriorConfig::learned_normal(1.0)));
    for (posterior, prior) in cases
        .into_iter()
        .chain([(normal, PriorConfig::learned_laplace(1.0))])
    {
        let config = BayesianizeConfig::new()
            .with_posterior(posterior.clone())
            .with_prior(prior);
        let layer = LinearConfig::new(4, 3).init(&device).bayesianize(&config);
        let before = attached(&layer);
        let grads = GradientsParams::from_grads(layer.kl_cost().backward(), &layer);
        let layer = AdamConfig::new().init().step(1e-4, layer, grads);
        assert_eq!(layer.weight.base().dtype(), DType::F16);
        for ((path, dtype, before), (_, _, after)) in before.into_iter().zip(attached(&layer)) {
            assert_eq!(dtype, DType::F32, "{path} of {posterior:?}");
            // The factors of a low rank and of a full one are no deviations.
            if path.ends_with("factor") {
                continue;
            }
            for (before, after) in before.iter().zip(after) {
                let step = (after - before).abs();
                assert!(
                    (1e-5..2e-4).contains(&step),
                    "{path} of {posterior:?}: {step}"
                );
            }
        }
    }
}

#[test]
fn the_parameter_of_a_likelihood_is_in_single_precision() {
    let noise = |noise| {
        GaussianLikelihoodConfig::new()
            .with_noise(noise)
            .init(&DEVICE)
    };
    let fixed = noise(LikelihoodParam::Fixed(0.1));
    assert!((fixed.noise_std()[0] - 0.1).abs() < 1e-7);
    let learned = noise(LikelihoodParam::Learned(0.5)).log_std;
    // A step that half precision rounds away.
    let stepped = values(learned.val() - 1e-4)[0];
    assert!((stepped - (0.5f64.ln() - 1e-4)).abs() < 1e-6, "{stepped}");
}

#[test]
fn ivon_starts_from_a_small_hessian() {
    let layer = LinearConfig::new(3, 2).init(&DEVICE.clone().autodiff());
    let model = IvonConfig::new(50_000.0).with_hess_init(1e-8).attach(layer);
    for attached in model.posteriors::<IvonPosterior>() {
        let hess = attached.posterior.hess.val();
        assert_eq!(hess.dtype(), DType::F32);
        assert!(values(hess).iter().all(|h| (h / 1e-8 - 1.0).abs() < 1e-6));
    }
}

/// Squares of its gradients, times a thousandth, that `f16` rounds to zero.
#[test]
fn a_resumed_adam_has_the_moments_that_it_had() {
    let device = DEVICE.clone().autodiff();
    assert_eq!(Device::default(), *DEVICE);
    for dtype in [DType::F32, DType::F16] {
        let start = Tensor::<1>::from_data([0.5, -0.25], (&device, dtype));
        let mut weight = Param::from_tensor(start);
        let step = |optimizer: &mut ModuleOptimizer, weight: Param<Tensor<1>>| {
            let loss = weight.val().sum() * 1e-3;
            let grads = GradientsParams::from_grads(loss.backward(), &weight);
            optimizer.step(0.01, weight, grads)
        };
        let mut optimizer = FusedAdamConfig::new().init();
        weight = step(&mut optimizer, weight);
        let resumed = FusedAdamConfig::new().init();
        let mut resumed = resumed.load_record(optimizer.to_record());
        let [expected, got] =
            [&mut optimizer, &mut resumed].map(|optimizer| step(optimizer, weight.clone()));
        assert_eq!(values(got.val()), values(expected.val()), "{dtype:?}");
        let moved = values(weight.val() - got.val());
        assert!(moved.iter().all(|moved| (0.005..0.015).contains(moved)));
    }
}
