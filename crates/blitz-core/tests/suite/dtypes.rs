//! Posteriors, priors and KL for weights of every float type, against the same in `f64`.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};

use blitz_core::kernels::without_fused;
use blitz_core::prelude::*;
use blitz_core::{KeptDeviations, Posterior, Prior, SharpeningConfig};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{DType, Device, Tensor};

use crate::digest::given;
use crate::net::{devices, families};
use crate::priors::priors;
use crate::types::{TYPES, unit};

/// Standard errors: of two million correct values, one is refused.
const GATE: f64 = 5.0;

/// The type of a sum over weights of `dtype`.
fn sum_type(dtype: DType) -> DType {
    match dtype {
        DType::F64 => DType::F64,
        _ => DType::F32,
    }
}

/// Every parameter in `dtype`, those of posteriors and priors as well.
fn cast<M: Module>(module: M, dtype: DType) -> M {
    struct Cast(DType);

    impl ModuleMapper for Cast {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|value| {
                let train = value.is_require_grad();
                value.cast(self.0).detach().set_require_grad(train)
            })
        }
    }

    module.map(&mut Cast(dtype))
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

fn scalar(tensor: Tensor<1>) -> f64 {
    values(tensor)[0]
}

type Weight = Param<Tensor<2>>;

/// A weight with means about zero of deviation 0.4, and what is attached moved apart by so much.
fn weight(
    shape: [usize; 2],
    posterior: &PosteriorConfig,
    prior: &PriorConfig,
    dtype: DType,
    device: &Device,
) -> Weight {
    let plain = Param::from_tensor(Tensor::<2>::zeros(shape, device));
    let config = BayesianizeConfig::new()
        .with_posterior(posterior.clone())
        .with_prior(prior.clone());
    given(plain.bayesianize(&config), 0.4, dtype)
}

/// Tells every case that fails, not the first alone.
#[derive(Default)]
struct Cases(Vec<String>);

impl Cases {
    fn run(&mut self, name: String, case: impl FnOnce() -> Result<(), String>) {
        match catch_unwind(AssertUnwindSafe(case)) {
            Ok(Ok(())) => {}
            Ok(Err(what)) => self.0.push(format!("{name}: {what}")),
            Err(panic) => {
                let what = panic.downcast_ref::<String>().cloned();
                self.0.push(format!("{name}: panic {what:?}"));
            }
        }
    }
}

impl Drop for Cases {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(
                self.0.is_empty(),
                "{} cases:\n{}",
                self.0.len(),
                self.0.join("\n")
            );
        }
    }
}

fn require(good: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if good { Ok(()) } else { Err(what()) }
}

fn all_finite(values: &[f64], what: &str) -> Result<(), String> {
    let bad = values.iter().filter(|value| !value.is_finite()).count();
    require(bad == 0, || {
        format!("{bad} of {} {what} are not finite", values.len())
    })
}

#[test]
fn no_draw_is_nan_or_infinite_in_any_type() {
    let device = Device::flex();
    let mut cases = Cases::default();
    let more = [2.1, 4.0, 100.0].map(|df| PosteriorConfig::student_t(df, 0.1));
    for family in families(0.1).into_iter().chain(more) {
        for dtype in TYPES {
            cases.run(format!("{family:?} in {dtype:?}"), || {
                let weight = weight([400, 250], &family, &PriorConfig::default(), dtype, &device);
                for index in 0..2 {
                    let draw = weight.with_draw(3, index, |weight| weight.val());
                    require(draw.dtype() == dtype, || {
                        format!("drawn in {:?}", draw.dtype())
                    })?;
                    all_finite(&values(draw), "draws")?;
                }
                Ok(())
            });
        }
    }
}

#[test]
fn kept_deviations_change_no_bit_of_a_draw() {
    for device in devices() {
        let kept = KeptDeviations::default();
        for family in families(0.1) {
            let net = weight(
                [40, 25],
                &family,
                &PriorConfig::default(),
                DType::F32,
                &device,
            );
            // The means alone in another type, whose scales stay, and all of it; the same parameter each time. NdArray
            // has no types of 16 bits.
            let types = match device == Device::flex() {
                true => &TYPES[..],
                false => &TYPES[..2],
            };
            let copies = types.iter().flat_map(|dtype| {
                let means = |net: Weight| Ok::<_, Infallible>(net.map(|mu| mu.cast(*dtype)));
                [
                    cast(net.clone(), *dtype),
                    net.clone().map_means(means).unwrap(),
                ]
            });
            for copy in copies.chain([net.clone()]) {
                for index in 0..3 {
                    let alone = copy.with_draw(7, index, |net| values(net.val()));
                    let _draw = copy.draw(7, index).with_deviations(&kept);
                    assert_eq!(values(copy.val()), alone, "{family:?} on {device:?}");
                }
            }
        }
    }
}

#[test]
fn networks_of_several_draws_are_those_of_each() {
    let device = Device::flex();
    let config = BayesianizeConfig::new();
    let net = LinearConfig::new(9, 7).init(&device).bayesianize(&config);
    let networks = net.sample_networks(3, [5, 1, 5]);
    for (network, index) in networks.iter().zip([5, 1, 5]) {
        let alone = net.sample_network(3, index);
        assert_eq!(values(network.weight.val()), values(alone.weight.val()));
    }
}

#[test]
fn deviations_that_changed_inside_a_draw_are_not_kept() {
    let device = Device::flex();
    let config = BayesianizeConfig::new();
    let net = LinearConfig::new(9, 7).init(&device).bayesianize(&config);
    let kept = KeptDeviations::default();
    let _draw = net.draw(3, 0).with_deviations(&kept);
    let before = values(net.weight.val());
    let sharp = net.clone().scale_deviations(0.5);
    let after = values(sharp.weight.val());
    drop(_draw);
    assert_ne!(before, after);
    assert_eq!(after, sharp.with_draw(3, 0, |net| values(net.weight.val())));
}

#[test]
fn draws_have_the_posteriors_mean_and_deviation_in_every_type() {
    let device = Device::flex();
    let mut cases = Cases::default();
    let draws = 1000;
    for family in families(0.3) {
        for dtype in TYPES {
            cases.run(format!("{family:?} in {dtype:?}"), || {
                let weight = weight([10, 10], &family, &PriorConfig::default(), dtype, &device);
                // In f64, of the parameters as they were rounded.
                let exact = cast(weight.clone(), DType::F64);
                let posterior = exact.reparameterization::<blitz_core::BuiltinVariational>();
                let posterior = &posterior.unwrap().posterior;
                let mean = values(posterior.mean(exact.base()));
                let std = values(posterior.std_dev(exact.base()));
                let drawn: Vec<Vec<f64>> = (0..draws)
                    .map(|index| values(weight.with_draw(41, index, |weight| weight.val())))
                    .collect();
                let n = draws as f64;
                for i in 0..100 {
                    let off = drawn.iter().map(|draw| draw[i] - mean[i]);
                    let moment = |k: i32| off.clone().map(|d| d.powi(k)).sum::<f64>() / n;
                    let rounding = unit(dtype) * (mean[i].abs() + std[i]);
                    let error = (moment(2) / n).sqrt();
                    require(moment(1).abs() < GATE * error + rounding, || {
                        format!("mean {i} is {} off, with an error of {error}", moment(1))
                    })?;
                    let error = ((moment(4) - moment(2).powi(2)) / n).sqrt();
                    let off = moment(2) - std[i].powi(2);
                    require(off.abs() < GATE * error + 2.0 * std[i] * rounding, || {
                        format!("variance {i} is {off} off, with an error of {error}")
                    })?;
                }
                Ok(())
            });
        }
    }
}

#[test]
fn the_stated_moments_are_those_of_double_precision_in_every_type() {
    let device = Device::flex();
    let mut cases = Cases::default();
    for family in families(0.3) {
        for dtype in TYPES {
            cases.run(format!("{family:?} in {dtype:?}"), || {
                let weight = weight([20, 30], &family, &PriorConfig::default(), dtype, &device);
                let moments = |weight: &Weight| {
                    let posterior = weight.reparameterization::<blitz_core::BuiltinVariational>();
                    let marginals = posterior.unwrap().posterior.marginals(weight.base());
                    let log_std = values(marginals.log_std);
                    // Relative to the deviation.
                    let log_std = log_std.into_iter().map(f64::exp).collect();
                    [values(marginals.mean), values(marginals.std), log_std]
                };
                let expected = moments(&cast(weight.clone(), DType::F64));
                for (got, expected) in moments(&weight).iter().zip(&expected) {
                    for (got, expected) in got.iter().zip(expected) {
                        require(
                            (got - expected).abs() <= 8.0 * unit(dtype) * expected.abs(),
                            || format!("{got} for {expected}"),
                        )?;
                    }
                }
                Ok(())
            });
        }
    }
}

/// The gradients of every parameter: means, posteriors and priors.
fn gradients<M: Module>(module: &M, loss: &Tensor<1>) -> Vec<(DType, Vec<f64>)> {
    struct Collect<'a>(&'a burn::tensor::Gradients, Vec<(DType, Vec<f64>)>);

    impl ModuleVisitor for Collect<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = param.val().grad(self.0) {
                self.1.push((gradient.dtype(), values(gradient)));
            }
        }
    }

    let grads = loss.backward();
    let mut collect = Collect(&grads, Vec::new());
    module.visit(&mut collect);
    collect.1
}

#[test]
fn the_kl_and_its_gradient_are_those_of_double_precision_for_every_pair_in_every_type() {
    let device = Device::flex().autodiff();
    let mut cases = Cases::default();
    for family in families(0.3) {
        for prior in priors() {
            for dtype in TYPES {
                cases.run(format!("{family:?}, {prior:?} in {dtype:?}"), || {
                    let weight = weight([20, 30], &family, &prior, dtype, &device);
                    let exact = cast(weight.clone(), DType::F64);
                    let run = |weight: &Weight| {
                        // Monte Carlo estimates are made at the draw's own weights.
                        let _draw = weight.draw(5, 0);
                        let kl = weight.kl_cost();
                        let gradients = gradients(weight, &kl);
                        (kl, gradients)
                    };
                    let (kl, got) = run(&weight);
                    require(kl.dims() == [1] && kl.dtype() == sum_type(dtype), || {
                        format!("a KL of {:?} in {:?}", kl.dims(), kl.dtype())
                    })?;
                    let (expected, exact) = run(&exact);
                    let (kl, expected) = (scalar(kl), scalar(expected));
                    // A weight in half precision is another than in f64, and so is its density.
                    let lost = 2.0 * unit(dtype).max(1e-6);
                    require((kl - expected).abs() <= lost * expected.abs(), || {
                        format!("{kl} for {expected}")
                    })?;
                    require(got.len() == exact.len(), || {
                        "parameters without gradient".into()
                    })?;
                    for ((got_type, got), (_, exact)) in got.iter().zip(&exact) {
                        require(*got_type == dtype, || format!("a gradient in {got_type:?}"))?;
                        all_finite(got, "gradients")?;
                        let length = |g: &[f64]| g.iter().map(|g| g * g).sum::<f64>().sqrt();
                        let off: Vec<f64> = got.iter().zip(exact).map(|(a, b)| a - b).collect();
                        // The slope of a prior with a peak at 0 is that of its smallest weights, of which w = μ + σ ε
                        // in `f32` keeps now and then no more than four digits.
                        require(
                            length(&off) <= (2e-4 + 8.0 * unit(dtype)) * length(exact),
                            || format!("a gradient of {} is {} off", length(exact), length(&off)),
                        )?;
                    }
                    Ok(())
                });
            }
        }
    }
}

/// Of deviations below an eighth of the distance from 1 to its neighbours, whose draws are rounded to 1.
#[test]
fn the_monte_carlo_kl_of_16_bits_is_that_of_the_same_weights_in_32() {
    let device = Device::flex();
    let mut cases = Cases::default();
    let priors = [
        PriorConfig::scale_mixture(0.5, 1.0, 0.1),
        PriorConfig::student_t(3.0, 0.5),
    ];
    for family in families(1e-4) {
        for prior in &priors {
            let kl = |dtype, is_second: bool| {
                let config = BayesianizeConfig::new()
                    .with_posterior(family.clone())
                    .with_prior(prior.clone());
                let ones = Tensor::<2>::ones([20, 30], (&device, dtype));
                let weight = Param::from_tensor(ones).bayesianize(&config);
                let draw = weight.draw(5, 0);
                let _draw = match is_second {
                    true => draw.antithetic(&weight, 1).unwrap(),
                    false => draw,
                };
                // The estimate is the same once the weight is made.
                let before = scalar(weight.kl_cost());
                let _ = weight.val();
                assert_eq!(scalar(weight.kl_cost()), before);
                before
            };
            for is_second in [false, true] {
                for dtype in [DType::F16, DType::BF16] {
                    cases.run(format!("{family:?}, {prior:?} in {dtype:?}"), || {
                        let both = || [dtype, DType::F32].map(|dtype| kl(dtype, is_second));
                        for [got, expected] in [both(), without_fused(both)] {
                            require((got - expected).abs() < 1e-6 * expected.abs(), || {
                                format!("{got} for {expected}")
                            })?;
                        }
                        Ok(())
                    });
                }
            }
        }
    }
}

/// What a user sees who casts a layer of 200 to 100: 20,100 weights, each with a KL of about 3.4 nats.
#[test]
fn a_kl_beyond_the_largest_number_of_half_precision_is_finite_and_right() {
    let device = Device::flex().autodiff();
    let mut cases = Cases::default();
    for family in families(0.02) {
        let config = BayesianizeConfig::new().with_posterior(family.clone());
        let layer = LinearConfig::new(200, 100)
            .init(&device)
            .bayesianize(&config);
        let expected = scalar(cast(layer.clone(), DType::F64).kl_cost());
        for dtype in TYPES {
            cases.run(format!("{family:?} in {dtype:?}"), || {
                let layer = cast(layer.clone(), dtype);
                let kl = layer.kl_cost();
                let gradients = gradients(&layer, &kl);
                let kl = scalar(kl);
                require((kl - expected).abs() < 4e-3 * expected, || {
                    format!("{kl} for {expected}")
                })?;
                gradients
                    .iter()
                    .try_for_each(|(_, gradient)| all_finite(gradient, "gradients"))
            });
        }
    }
}

#[test]
fn log_densities_of_large_weights_and_their_gradients_are_right_in_every_type() {
    let device = Device::flex().autodiff();
    let mut cases = Cases::default();
    // A square of 300 exceeds the largest number of f16; the last has a slope of 40,000 under the narrowest normal.
    let weights = [0.0, 1e-3, -0.25, 3.0, -30.0, 300.0, -2e4];
    for config in priors() {
        if matches!(config, PriorConfig::EmpiricalNormal(_)) {
            continue; // Has no density of its own.
        }
        for dtype in TYPES {
            for w in weights {
                cases.run(format!("{config:?} in {dtype:?} at {w}"), || {
                    let weight =
                        |dtype| Tensor::<1>::from_data([w], (&device, dtype)).require_grad();
                    let prior = cast(config.init(&device), dtype);
                    let run = |prior: &blitz_core::BuiltinPrior, weight: Tensor<1>| {
                        let density = prior.log_density(weight.clone());
                        let gradient = weight.grad(&density.backward()).unwrap();
                        (density, scalar(gradient))
                    };
                    let rounded = weight(dtype);
                    let same = rounded.clone().cast(DType::F64).detach().require_grad();
                    let (density, gradient) = run(&prior, rounded);
                    require(density.dtype() == sum_type(dtype), || {
                        format!("a density in {:?}", density.dtype())
                    })?;
                    let (exact, slope) = run(&cast(prior, DType::F64), same);
                    let (density, exact) = (scalar(density), scalar(exact));
                    require(
                        (density - exact).abs() <= 1e-4 * exact.abs().max(1.0),
                        || format!("{density} for {exact}"),
                    )?;
                    let lost = 1e-4 + 2.0 * unit(dtype);
                    require(
                        (gradient - slope).abs() <= lost * slope.abs().max(0.1),
                        || format!("a slope of {gradient} for {slope}"),
                    )
                });
            }
        }
    }
}

#[derive(Module, Debug)]
struct Mixed {
    one: Linear,
    other: Linear,
}

#[test]
fn the_kl_of_a_model_that_mixes_types_is_the_sum_of_its_layers() {
    let device = Device::flex().autodiff();
    let mut cases = Cases::default();
    let config = BayesianizeConfig::new();
    let layer = || {
        given(
            LinearConfig::new(30, 20).init(&device).bayesianize(&config),
            0.4,
            DType::F32,
        )
    };
    for one in TYPES {
        for other in TYPES {
            cases.run(format!("{one:?} and {other:?}"), || {
                let net = Mixed {
                    one: cast(layer(), one),
                    other: cast(layer(), other),
                };
                let sum = scalar(net.one.kl_cost()) + scalar(net.other.kl_cost());
                let kl = net.kl_cost();
                let gradients = gradients(&net, &kl);
                let kl = scalar(kl);
                require((kl - sum).abs() <= 1e-5 * sum, || format!("{kl} for {sum}"))?;
                require(gradients.len() == 8, || {
                    format!("{} gradients", gradients.len())
                })?;
                gradients
                    .iter()
                    .try_for_each(|(_, gradient)| all_finite(gradient, "gradients"))
            });
        }
    }
}

#[test]
fn whatever_a_bayesian_module_can_do_it_can_in_every_type() {
    let device = Device::flex().autodiff();
    let mut cases = Cases::default();
    for family in families(0.1) {
        for dtype in TYPES {
            cases.run(format!("{family:?} in {dtype:?}"), || {
                let config = BayesianizeConfig::new().with_posterior(family.clone());
                let layer = LinearConfig::new(30, 20).init(&device).bayesianize(&config);
                let layer = given(layer, 0.4, dtype);
                for network in [layer.mean_network(), layer.sample_network(1, 0)] {
                    let weight = network.weight.val();
                    require(weight.dtype() == dtype, || format!("{:?}", weight.dtype()))?;
                    all_finite(&values(weight), "weights")?;
                }
                let x = Tensor::<2>::ones([3, 30], (&device, dtype));
                let loss = layer.with_draw(1, 0, |layer| layer.forward(x.clone()).sum());
                for (gradient_type, gradient) in gradients(&layer, &loss) {
                    require(gradient_type == dtype, || format!("{gradient_type:?}"))?;
                    all_finite(&gradient, "gradients")?;
                }
                for weight in layer.weight_marginals() {
                    let ratios = weight.signal_to_noise();
                    require(ratios.iter().all(|r| r.is_finite()), || "ratios".into())?;
                }
                let (pruned, _) = layer.clone().prune_by_signal_to_noise(0.5);
                all_finite(&values(pruned.weight.val()), "pruned weights")?;

                let nll = |layer: &Linear| layer.forward(x.clone()).mean();
                let sharpening = SharpeningConfig::new().init(&layer);
                let sharpened = sharpening.draw(&layer, 1, 0, nll);
                let weight = layer.weight.val();
                require(weight.dtype() == dtype, || format!("{:?}", weight.dtype()))?;
                let loss = nll(&layer).cast(sharpened.kl().dtype()) + sharpened.kl();
                drop(sharpened);
                require(scalar(loss.clone()).is_finite(), || {
                    "the sharpened loss".into()
                })?;
                for (_, gradient) in gradients(&layer, &loss) {
                    all_finite(&gradient, "sharpened gradients")?;
                }
                Ok(())
            });
        }
    }
}

#[test]
fn weights_of_16_bits_are_drawn_with_the_deviation_that_is_kept_in_32() {
    let device = Device::flex();
    let config = LinearConfig::new(300, 300).with_bias(false);
    // Its ρ of −8.03 is −8 in `bf16`, where σ is 3 % larger.
    let std = (-8.03f64).exp().ln_1p();
    for dtype in [DType::F16, DType::BF16] {
        let mut net: Linear = config.init(&device);
        net.weight = net.weight.map(|weight| weight.zeros_like().cast(dtype));
        let posterior = PosteriorConfig::normal(std);
        let net = net.bayesianize(&BayesianizeConfig::new().with_posterior(posterior));
        let draw = net.with_draw(1, 0, |net| net.weight.val());
        assert_eq!(draw.dtype(), dtype);
        let values: Vec<f64> = draw.into_data().iter().collect();
        let squares: f64 = values.iter().map(|w| w * w).sum();
        let drawn = (squares / values.len() as f64).sqrt();
        // Five standard errors of 90,000 normals.
        assert!(
            (drawn / std - 1.0).abs() < 0.012,
            "{dtype:?}: {drawn} for {std}"
        );
    }
}

#[test]
#[should_panic(expected = "initial deviation must be a number from 1e-30 to 1e15, got 1e-31")]
fn an_initial_deviation_that_no_rho_has_is_refused_as_it_was_given() {
    let _ = PosteriorConfig::normal(1e-31).init(&[2].into(), &Device::flex());
}

#[test]
fn the_least_initial_deviation_is_taken_by_every_family() {
    for config in [
        PosteriorConfig::normal(1e-30),
        PosteriorConfig::laplace(1e-30),
        PosteriorConfig::student_t(2.0001, 1e-30),
        PosteriorConfig::radial(1e-30),
    ] {
        let posterior = config.init(&[2].into(), &Device::flex());
        let std = posterior.std_dev(Tensor::<1>::zeros([2], &Device::flex()));
        let std = std.max().into_scalar::<f32>();
        assert!(std > 0.0 && std < 2e-28, "{config:?}: {std}");
    }
}
