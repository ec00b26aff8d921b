//! The KL against closed forms, SciPy and Monte Carlo.

use blitz_core::prelude::*;
use blitz_core::{
    KlEstimator, KlTerm, NormalPosteriorConfig, NormalPrior, Prior, PriorForm,
    ScaleMixturePriorConfig, kernels::without_fused,
};
use burn::module::Module;
use burn::nn::LinearConfig;
use burn::tensor::{DType, Device, Tensor};

use crate::net::{Net, devices, families, rho, scalar, values};
use crate::priors::priors;

fn linear(posterior_std: f64, prior: PriorConfig, device: &Device) -> burn::nn::Linear {
    let mut layer = LinearConfig::new(40, 25).with_bias(false).init(device);
    layer.weight = layer
        .weight
        .map(|w| w.zeros_like().set_require_grad(device.is_autodiff()));
    layer.bayesianize(
        &BayesianizeConfig::new()
            .with_posterior(PosteriorConfig::normal(posterior_std))
            .with_prior(prior),
    )
}

#[test]
fn kl_is_zero_where_posterior_equals_prior() {
    for device in devices() {
        for std in [1e-3, 0.1, 1.0, 30.0] {
            let kl = scalar(linear(std, PriorConfig::normal(std), &device).kl_cost());
            // 1000 weights, each rounded to f32.
            assert!(kl.abs() < 1000.0 * 2e-6, "std {std}: {kl}");
        }
    }
}

#[test]
fn kl_of_two_normals_is_the_hand_computed_sum_over_weights() {
    let mut layer = LinearConfig::new(2, 1)
        .with_bias(false)
        .init(&Device::flex());
    layer.weight = layer
        .weight
        .map(|w| Tensor::from_floats([[0.5], [-2.0]], &w.device()));
    let layer = layer.bayesianize(
        &BayesianizeConfig::new()
            .with_posterior(PosteriorConfig::normal(0.3))
            .with_prior(PriorConfig::normal(2.0)),
    );
    let per_weight = |mu: f64| (2.0f64 / 0.3).ln() + (0.09 + mu * mu) / 8.0 - 0.5;
    let expected = per_weight(0.5) + per_weight(-2.0);
    assert!((scalar(layer.kl_cost()) - expected).abs() < 1e-5);
    assert_eq!(layer.kl_terms()[0].estimator, KlEstimator::ClosedForm);
}

#[test]
fn the_part_that_differs_by_draw_is_that_of_the_pairs_without_a_closed_form() {
    let layer = LinearConfig::new(4, 3).init(&Device::flex());
    for (posterior, prior) in families(0.1)
        .into_iter()
        .flat_map(|posterior| priors().map(|prior| (posterior.clone(), prior)))
    {
        let config = BayesianizeConfig::new().with_prior(prior);
        let config = config.with_posterior(posterior);
        let net = layer.clone().bayesianize(&config);
        let check = || {
            let _draw = net.draw(1, 0);
            let mut sampled = net.kl_terms();
            sampled.retain(|term| term.estimator == KlEstimator::MonteCarlo);
            let expected = KlTerm::total(sampled).map(scalar);
            assert_eq!(net.kl_cost_of_draw().map(scalar), expected, "{config:?}");
        };
        check();
        without_fused(check);
    }
}

/// A prior with the closed form of a normal's, and a centre that nothing can be computed with.
#[derive(Module, Debug)]
struct Incomputable {}

impl Prior for Incomputable {
    fn log_density<const D: usize>(&self, _weight: Tensor<D>) -> Tensor<1> {
        unreachable!("the KL has a closed form")
    }

    fn form(&self) -> PriorForm {
        PriorForm::Centered {
            center: Tensor::zeros([1000], &Device::flex()),
            prior: Box::new(PriorForm::Normal { std: 1.0 }),
        }
    }
}

#[test]
fn a_closed_form_is_not_computed_for_the_part_that_differs_by_draw() {
    let layer = LinearConfig::new(4, 3).init(&Device::flex());
    let net = layer.attach_posteriors(|weight| {
        let posterior = NormalPosteriorConfig::new().init(weight.shape, weight.device);
        Some((posterior, Incomputable {}))
    });
    assert!(net.kl_cost_of_draw().is_none());
}

#[test]
fn kl_counts_every_weight_once_at_its_hand_computed_cost() {
    let net = Net::bayesian(&Device::flex());
    let bias = net.hidden.bias.as_ref().unwrap();
    let parameters = [
        values(net.hidden.weight.base()),
        values(bias.base()),
        values(net.norm.gamma.base()),
        values(net.norm.beta.base()),
        values(net.output.weight.base()),
    ];
    let sizes = parameters.each_ref().map(Vec::len);
    assert_eq!(sizes, [15, 5, 5, 5, 10]);
    // The default posterior's deviation is 0.02, the prior is standard normal.
    let cost = |mu: &f32| (1.0f64 / 0.02).ln() + (0.02f64.powi(2) + f64::from(mu * mu)) / 2.0 - 0.5;
    let expected = parameters.map(|means| means.iter().map(cost).sum::<f64>());

    let terms = net.kl_terms();
    assert_eq!(terms.len(), 5);
    for (term, expected) in terms.into_iter().zip(expected) {
        let kl = scalar(term.value);
        assert!(
            (kl - expected).abs() < 1e-5 * expected,
            "{kl} for {expected}"
        );
    }
    let (kl, expected) = (scalar(net.kl_cost()), expected.iter().sum::<f64>());
    assert!(
        (kl - expected).abs() < 1e-5 * expected,
        "{kl} for {expected}"
    );
}

#[test]
fn kl_does_not_depend_on_forward_passes_draws_or_modes() {
    let device = Device::flex();
    let net = Net::bayesian(&device);
    let kl = values(net.kl_cost());
    for _ in 0..3 {
        net.forward(Tensor::<2>::ones([2, 3], &device));
    }
    assert_eq!(kl, values(net.kl_cost()));
    assert_eq!(kl, net.with_draw(1, 1, |net| values(net.kl_cost())));
    assert_eq!(kl, net.with_mean(|net| values(net.kl_cost())));
    assert_eq!(kl, values(net.valid().kl_cost()));
}

#[test]
fn a_module_without_posteriors_costs_nothing() {
    assert_eq!(values(Net::plain(&Device::flex()).kl_cost()), [0.0]);
}

/// `prior`'s density alone, so that the KL of a normal posterior has to be estimated.
#[derive(Module, Debug)]
struct DensityOnly {
    prior: NormalPrior,
}

impl Prior for DensityOnly {
    fn log_density<const D: usize>(&self, weight: Tensor<D>) -> Tensor<1> {
        self.prior.log_density(weight)
    }
}

#[test]
fn the_monte_carlo_kl_has_the_closed_form_as_its_mean() {
    let device = Device::flex();
    let (std, prior_std) = (0.4, 1.3);
    let closed = scalar(linear(std, PriorConfig::normal(prior_std), &device).kl_cost());
    let mut layer = LinearConfig::new(40, 25).with_bias(false).init(&device);
    layer.weight = layer.weight.map(|weight| weight.zeros_like());
    let estimated = layer.attach_posteriors(|weight| {
        let posterior = NormalPosteriorConfig::new().with_initial_std(std);
        let prior = DensityOnly {
            prior: NormalPrior::new(prior_std),
        };
        Some((posterior.init(weight.shape, weight.device), prior))
    });
    assert_eq!(estimated.kl_terms()[0].estimator, KlEstimator::MonteCarlo);

    let draws = 400;
    let kl: Vec<f64> = (0..draws)
        .map(|i| estimated.with_draw(17, i, |layer| scalar(layer.kl_cost())))
        .collect();
    let n = draws as f64;
    let mean = kl.iter().sum::<f64>() / n;
    let variance = kl.iter().map(|k| (k - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let standard_error = (variance / n).sqrt();
    assert!(
        (mean - closed).abs() < 4.0 * standard_error,
        "{mean} ± {standard_error}, {closed}"
    );
    // Inside one draw the estimate is made at the draw's own weight, so it repeats.
    let _draw = estimated.draw(17, 0);
    assert_eq!(scalar(estimated.kl_cost()), scalar(estimated.kl_cost()));
    let weight = estimated.weight.val();
    let log_q = {
        let z = weight.clone() / std;
        scalar(z.square().sum() * -0.5) - 1000.0 * (std.ln() + 0.918_938_533_204_672_7)
    };
    let log_p = scalar(NormalPrior::new(prior_std).log_density(weight));
    assert!((scalar(estimated.kl_cost()) - (log_q - log_p)).abs() < 1e-2);
}

#[test]
fn gradients_of_the_kl_are_the_hand_computed_ones() {
    let device = Device::flex().autodiff();
    let layer = crate::net::linear(3, 2, false, 0.6, &device).bayesianize(
        &BayesianizeConfig::new()
            .with_posterior(PosteriorConfig::normal(0.3))
            .with_prior(PriorConfig::normal(2.0)),
    );
    let grads = layer.kl_cost().backward();
    let mu = values(layer.weight.base());
    let d_mu = values(layer.weight.base().grad(&grads).unwrap());
    for (mu, d_mu) in mu.iter().zip(d_mu) {
        assert!((d_mu - mu / 4.0).abs() < 1e-6);
    }
    // d KL / d sigma = sigma / s² - 1 / sigma, and d sigma / d rho = 1 - e^-sigma.
    let expected = (0.3 / 4.0 - 1.0 / 0.3) * (1.0 - (-0.3f64).exp());
    for d_rho in values(rho(&layer).grad(&grads).unwrap()) {
        assert!(
            (f64::from(d_rho) - expected).abs() < 1e-5,
            "{d_rho} {expected}"
        );
    }
}

#[test]
fn a_kl_of_any_type_is_added_to_a_loss_of_any_other() {
    let device = Device::flex().autodiff();
    let weight = 0.25;
    let of_types = |kl: DType, loss: DType| {
        let mut layer = crate::net::linear(3, 2, false, 0.6, &device);
        layer.weight = layer
            .weight
            .map(|w| w.cast(kl).detach().set_require_grad(true));
        let layer = layer.bayesianize(
            &BayesianizeConfig::new()
                .with_posterior(PosteriorConfig::normal(0.3))
                .with_prior(PriorConfig::normal(2.0)),
        );
        let _draw = layer.draw(1, 0).with_kl();
        // Half the sum of squares, whose gradient is the weight.
        let nll = layer.weight.val().cast(loss).square().sum() * 0.5;
        let total = KlTerm::add_to(nll.clone(), layer.kl_terms(), weight);
        let grads = total.backward();
        let kl_value = scalar(layer.kl_cost());
        let expected = scalar(nll) + weight * kl_value;
        let type_of_total = total.dtype();
        assert!(
            (scalar(total) - expected).abs() < 1e-5 * expected,
            "{kl:?} and {loss:?}"
        );
        let [drawn, mu, d_mu] = [
            layer.weight.val(),
            layer.weight.base(),
            layer.weight.base().grad(&grads).unwrap(),
        ]
        .map(|tensor| tensor.into_data().iter::<f32>().collect::<Vec<_>>());
        for ((drawn, mu), d_mu) in drawn.iter().zip(mu).zip(d_mu) {
            let expected = drawn + weight as f32 * mu / 4.0;
            // A number of 16 bits has three digits.
            let rounding = if loss == DType::BF16 { 1e-2 } else { 1e-5 };
            assert!(
                (d_mu - expected).abs() < rounding,
                "{kl:?} and {loss:?}: {d_mu} for {expected}"
            );
        }
        type_of_total
    };
    for (kl, loss) in [
        (DType::F32, DType::F32),
        (DType::F32, DType::F64),
        (DType::F32, DType::BF16),
        (DType::F64, DType::F32),
        (DType::F64, DType::F64),
    ] {
        let wider = match kl == DType::F64 || loss == DType::F64 {
            true => DType::F64,
            false => DType::F32,
        };
        assert_eq!(of_types(kl, loss), wider, "{kl:?} and {loss:?}");
    }
}

#[test]
fn the_kl_and_its_gradient_are_finite_for_rho_of_100_and_minus_100() {
    let device = Device::flex().autodiff();
    for (prior, rho_value) in [
        (PriorConfig::normal(1.0), 100.0f32),
        (PriorConfig::normal(1.0), -100.0),
        (PriorConfig::scale_mixture(0.5, 1.0, 0.01), 100.0),
        (PriorConfig::scale_mixture(0.5, 1.0, 0.01), -100.0),
    ] {
        let layer = linear(0.1, prior.clone(), &device);
        let layer = layer.map(&mut SetRho(rho_value));
        let _draw = layer.draw(1, 0);
        let output = layer.forward(Tensor::<2>::ones([2, 40], &device)).sum();
        let loss = output + layer.kl_cost();
        assert!(scalar(loss.clone()).is_finite(), "{prior:?} at {rho_value}");
        let grads = loss.backward();
        for gradient in [
            values(layer.weight.base().grad(&grads).unwrap()),
            values(rho(&layer).grad(&grads).unwrap()),
        ] {
            assert!(
                gradient.iter().all(|g| g.is_finite()),
                "{prior:?} at {rho_value}"
            );
        }
    }
}

struct SetRho(f32);

impl burn::module::ModuleMapper for SetRho {
    fn map_float<const D: usize>(
        &mut self,
        param: burn::module::Param<Tensor<D>>,
    ) -> burn::module::Param<Tensor<D>> {
        match D {
            1 => param.map(|rho| Tensor::full(rho.shape(), self.0, &rho.device()).require_grad()),
            _ => param,
        }
    }
}

/// `(w, ln p(w), d ln p / dw)` for π = 0.25, σ₁ = 1, σ₂ = e^-6, from `prior_reference.py`.
const MIXTURE: [(f32, f64, f64); 8] = include!("prior_reference.in");

#[test]
fn a_scale_mixture_has_a_density_where_the_square_of_a_weight_overflows() {
    let config = ScaleMixturePriorConfig::new().with_sigma1(1e15);
    for device in devices().map(|device| device.autodiff()) {
        for sigma2 in [1e-15, 1.0, 1e14] {
            let prior = config.clone().with_sigma2(sigma2).init();
            for w in [1e21f32, -3e25] {
                let weight = Tensor::<1>::from_floats([w], &device).require_grad();
                let value = prior.log_density(weight.clone());
                let grads = value.clone().backward();
                let gradient = f64::from(values(weight.grad(&grads).unwrap())[0]);
                let z = f64::from(w) / 1e15;
                let (value, expected) = (scalar(value), -0.5 * z * z);
                assert!((value / expected - 1.0).abs() < 1e-6, "{w}: {value}");
                assert!((gradient / -z * 1e15 - 1.0).abs() < 1e-6, "{w}: {gradient}");
            }
        }
    }
}

#[test]
fn the_scale_mixture_agrees_with_scipy_up_to_50_sigma() {
    for device in devices() {
        let device = device.autodiff();
        let prior = ScaleMixturePriorConfig::new()
            .with_pi(0.25)
            .with_sigma1(1.0)
            .with_sigma2((-6f64).exp())
            .init();
        for (w, log_density, derivative) in MIXTURE {
            let weight = Tensor::<1>::from_floats([w], &device).require_grad();
            let value = prior.log_density(weight.clone());
            let grads = value.clone().backward();
            let gradient = f64::from(values(weight.grad(&grads).unwrap())[0]);
            let value = scalar(value);
            assert!(
                (value - log_density).abs() < 2e-6 * log_density.abs().max(1.0),
                "{w}: {value}"
            );
            // Inside the narrow component the derivative is the difference of terms of the size 1 / σ₂² = 1.6e5.
            let tolerance = 1e-4 * derivative.abs().max(1.0);
            assert!(
                (gradient - derivative).abs() < tolerance,
                "{w}: {gradient} {derivative}"
            );
        }
    }
}

#[test]
#[should_panic(expected = "got 1.5")]
fn a_mixture_weight_outside_of_0_and_1_is_refused_with_its_value() {
    ScaleMixturePriorConfig::new().with_pi(1.5).init();
}

#[test]
#[should_panic(expected = "got -2")]
fn a_negative_prior_deviation_is_refused_with_its_value() {
    PriorConfig::normal(-2.0).init(&Device::flex());
}

#[test]
fn the_learned_prior_is_at_its_best_where_its_variance_is_the_mean_of_the_posteriors_squares() {
    use blitz_core::BuiltinPrior;

    let device = Device::flex().autodiff();
    let layer = |prior_std| {
        let layer = linear(0.3, PriorConfig::learned_normal(prior_std), &device);
        layer.map(&mut ConstantMean(0.4))
    };
    let gradient = |prior_std| {
        let layer = layer(prior_std);
        let grads = layer.kl_cost().backward();
        let variational = layer
            .weight
            .reparameterization::<blitz_core::BuiltinVariational>()
            .unwrap();
        let BuiltinPrior::LearnedNormal(prior) = &variational.prior else {
            panic!("another prior: {:?}", variational.prior);
        };
        f64::from(values(prior.log_std.val().grad(&grads).unwrap())[0])
    };
    // d KL / d ln s = n (1 − (μ² + σ²) / s²), which is zero at s² = 0.4² + 0.3².
    assert!(gradient(0.5).abs() < 1e-2);
    assert!((gradient(1.0) - 1000.0 * (1.0 - 0.25)).abs() < 1e-1);
    // The same KL as the fixed prior's of the same deviation.
    let fixed = linear(0.3, PriorConfig::normal(0.7), &device).map(&mut ConstantMean(0.4));
    let difference = scalar(layer(0.7).kl_cost()) - scalar(fixed.kl_cost());
    assert!(difference.abs() < 1e-2, "{difference}");
}

struct ConstantMean(f32);

impl burn::module::ModuleMapper for ConstantMean {
    fn map_float<const D: usize>(
        &mut self,
        param: burn::module::Param<Tensor<D>>,
    ) -> burn::module::Param<Tensor<D>> {
        match D {
            2 => param.map(|mu| Tensor::full(mu.shape(), self.0, &mu.device()).require_grad()),
            _ => param,
        }
    }
}
