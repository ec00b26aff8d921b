//! Prior scales at their best, of one tensor and of several together.

use blitz_core::prelude::*;
use blitz_core::{
    CenteredPrior, EmpiricalNormalPriorConfig, KlEstimator, LaplacePosteriorConfig, Marginals,
    Nats, Noise, NormalPosterior, NormalPosteriorConfig, Posterior, kl_divergence,
};
use burn::config::Config;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, Gradients, Tensor};

use crate::net::{Net, scalar, values};
use crate::statistics::Sample;

/// A copy of `net` with `prior` instead: same means, same deviations.
fn with_prior(net: &Net, posterior: &PosteriorConfig, prior: PriorConfig) -> Net {
    let config = BayesianizeConfig::new().with_posterior(posterior.clone());
    net.clone().bayesianize(&config.with_prior(prior))
}

/// `(Σ E w², n)` over the weights of a net with the posterior deviation `std`.
fn second_moment(net: &Net, std: f64) -> (f64, usize) {
    struct Squares(f64, usize);
    impl ModuleVisitor for Squares {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            // Running statistics have no posterior.
            if param.is_require_grad() {
                let squares = values(param.val().square());
                self.0 += squares.iter().map(|s| f64::from(*s)).sum::<f64>();
                self.1 += squares.len();
            }
        }
    }
    let mut squares = Squares(0.0, 0);
    net.visit(&mut squares);
    let Squares(sum, n) = squares;
    (sum + n as f64 * std.powi(2), n)
}

struct Flat<'a>(&'a Gradients, Vec<f32>);

impl ModuleVisitor for Flat<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad(self.0) {
            self.1.extend(values(gradient));
        }
    }
}

fn kl_gradient(net: &Net) -> Vec<f32> {
    let grads = net.kl_cost().backward();
    let mut flat = Flat(&grads, Vec::new());
    net.visit(&mut flat);
    flat.1
}

#[test]
fn a_group_has_the_kl_and_the_gradient_of_the_one_normal_prior_that_minimizes_it() {
    let device = Device::flex().autodiff();
    let plain = Net::plain(&device);
    let std = 0.3;
    for posterior in [PosteriorConfig::normal(std), PosteriorConfig::radial(std)] {
        let (sum, n) = second_moment(&plain, std);
        let best = (sum / n as f64).sqrt();
        let grouped = PriorConfig::empirical_normal(Some("all"));
        let grouped = with_prior(&plain, &posterior, grouped);
        let at = |scale: f64| with_prior(&plain, &posterior, PriorConfig::normal(scale));

        let kl = scalar(grouped.kl_cost());
        let expected = scalar(at(best).kl_cost());
        assert!(
            (kl - expected).abs() < 1e-5 * expected.abs(),
            "{kl}, {expected}"
        );
        for other in [0.8, 1.25] {
            assert!(scalar(at(best * other).kl_cost()) > kl + 0.5);
        }
        let terms: f64 = grouped
            .kl_terms()
            .into_iter()
            .map(|term| scalar(term.value))
            .sum();
        assert!((terms - kl).abs() < 1e-4, "{terms}, {kl}");
        assert!(
            grouped
                .kl_terms()
                .iter()
                .all(|t| t.estimator == KlEstimator::ClosedForm)
        );
        assert!(grouped.kl_cost_of_draw().is_none());

        let (got, expected) = (kl_gradient(&grouped), kl_gradient(&at(best)));
        assert_eq!(got.len(), 2 * n);
        for (a, b) in got.iter().zip(expected) {
            assert!((a - b).abs() < 1e-4 * b.abs().max(0.1), "{a}, {b}");
        }
    }
}

#[test]
fn a_shared_scale_around_a_centre_is_that_of_the_differences() {
    fn check(posterior: &impl Posterior, what: &str) {
        let device = Device::flex();
        let center = Tensor::<1>::from_floats([0.5, -1.0, 2.0], &device);
        let moved = Tensor::<1>::from_floats([0.2, -0.4, 0.1], &device);
        for group in [None, Some("all".to_string())] {
            let prior = EmpiricalNormalPriorConfig { group }.init();
            let expected = kl_divergence(posterior, &prior, &moved).unwrap();
            let around = CenteredPrior::new(center.clone(), prior);
            let kl = kl_divergence(posterior, &around, &(center.clone() + moved.clone())).unwrap();
            let (kl, expected) = (scalar(kl), scalar(expected));
            assert!((kl - expected).abs() < 1e-5, "{what}: {kl} for {expected}");
        }
    }
    let (shape, device) = ([3].into(), Device::flex());
    let normal = NormalPosteriorConfig::new().with_initial_std(0.3);
    check(&normal.init(&shape, &device), "normal");
    let laplace = LaplacePosteriorConfig::new().with_initial_std(0.3);
    check(&laplace.init(&shape, &device), "laplace");
}

#[test]
fn groups_of_different_names_have_scales_of_their_own() {
    let device = Device::flex();
    let large = LinearConfig::new(6, 5).with_bias(false);
    let large = large.with_initializer(burn::nn::Initializer::Constant { value: 3.0 });
    let plain: (Linear, Linear) = (large.init(&device), LinearConfig::new(6, 5).init(&device));
    fn config(group: Option<&str>) -> BayesianizeConfig {
        let prior = PriorConfig::empirical_normal(group);
        BayesianizeConfig::new().with_prior(prior)
    }
    let kl = |first: Option<&str>, second: Option<&str>| {
        let first = plain.0.clone().bayesianize(&config(first));
        let second = plain.1.clone().bayesianize(&config(second));
        let alone = scalar(first.kl_cost()) + scalar(second.kl_cost());
        (scalar((first, second).kl_cost()), alone)
    };
    let (apart, alone) = kl(Some("a"), Some("b"));
    assert!((apart - alone).abs() < 1e-4 * alone, "{apart}, {alone}");
    // One scale for weights of such different size serves neither.
    let (together, _) = kl(Some("a"), Some("a"));
    assert!(together > apart + 5.0, "{together}, {apart}");
    // The weight and the bias of the second layer each on their own cost less than together.
    let (single, _) = kl(None, None);
    assert!(single <= apart + 1e-4, "{single}, {apart}");
}

#[test]
fn without_a_group_a_tensor_has_the_kl_of_the_learned_prior_at_its_best() {
    let device = Device::flex().autodiff();
    let plain = LinearConfig::new(8, 5).with_bias(false).init(&device);
    let std = 0.2;
    let square = scalar(plain.weight.val().square().mean()) + std * std;
    let with = |prior| {
        let config = BayesianizeConfig::new().with_posterior(PosteriorConfig::normal(std));
        plain.clone().bayesianize(&config.with_prior(prior))
    };
    let empirical = with(PriorConfig::empirical_normal(None));
    let learned = with(PriorConfig::learned_normal(square.sqrt()));
    let (kl, expected) = (scalar(empirical.kl_cost()), scalar(learned.kl_cost()));
    assert!((kl - expected).abs() < 1e-4, "{kl}, {expected}");
    let of = |layer: &Linear| {
        let grads = layer.kl_cost().backward();
        values(layer.weight.base().grad(&grads).unwrap())
    };
    for (a, b) in of(&empirical).iter().zip(of(&learned)) {
        assert!((a - b).abs() < 1e-4 * b.abs().max(0.1), "{a}, {b}");
    }
}

#[test]
fn the_group_survives_json() {
    let config = PriorConfig::empirical_normal(Some("encoder"));
    let all = BayesianizeConfig::new().with_prior(config.clone());
    let again = BayesianizeConfig::load_binary(all.to_string().as_bytes()).unwrap();
    assert_eq!(again.prior, config);
}

/// Why a shared scale is no shared parameter: were Burn to change this, a learned scale could be tied.
#[test]
fn burns_optimizer_moves_the_first_of_two_tied_parameters_only() {
    let device = Device::flex().autodiff();
    let shared = Param::from_tensor(Tensor::<1>::ones([1], &device));
    let module = (shared.clone(), shared);
    let loss = module.0.val().square() + module.1.val() * 3.0;
    let grads = GradientsParams::from_grads(loss.backward(), &module);
    let (first, second) = SgdConfig::new().init().step(0.1, module, grads);
    assert!((values(first.val())[0] - 0.5).abs() < 1e-6);
    assert_eq!(values(second.val()), [1.0]);
    assert_eq!(first.id, second.id);
}

/// Scales every mean.
struct Scale(f64);

impl ModuleMapper for Scale {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|value| value * self.0)
    }
}

#[test]
fn the_kl_does_not_depend_on_the_unit_of_the_weights() {
    let device = Device::flex();
    let plain = LinearConfig::new(8, 5).init(&device);
    let kl = |scale: f64| {
        let config = BayesianizeConfig::new()
            .with_posterior(PosteriorConfig::normal(0.1 * scale))
            .with_prior(PriorConfig::empirical_normal(Some("layer")));
        let layer = plain.clone().map(&mut Scale(scale)).bayesianize(&config);
        scalar(layer.kl_cost())
    };
    assert!(
        (kl(1.0) - kl(100.0)).abs() < 1e-3,
        "{} {}",
        kl(1.0),
        kl(100.0)
    );
    assert!((kl(1.0) - kl(1e-3)).abs() < 1e-3);
}

/// A normal posterior that does not say its entropy, and so has no closed form.
#[derive(Module, Debug)]
struct Undecided {
    posterior: NormalPosterior,
}

impl Posterior for Undecided {
    fn sample<const D: usize>(&self, mu: Tensor<D>, noise: &mut Noise) -> Tensor<D> {
        self.posterior.sample(mu, noise)
    }

    fn std_dev<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
        self.posterior.std_dev(mu)
    }

    fn log_density<const D: usize>(&self, mu: Tensor<D>, weight: Tensor<D>) -> Tensor<1> {
        self.posterior.log_density(mu, weight)
    }
}

#[test]
fn an_estimated_term_of_a_group_pays_for_its_prior_once() {
    let device = Device::flex();
    let prior = || blitz_core::EmpiricalNormalPrior {
        group: Some("one".into()),
    };
    let layer = LinearConfig::new(40, 25).with_bias(false).init(&device);
    let estimated = layer.clone().attach_posteriors(|weight| {
        let posterior = NormalPosteriorConfig::new().init(weight.shape, weight.device);
        Some((Undecided { posterior }, prior()))
    });
    let closed = layer.attach_posteriors(|weight| {
        let posterior = NormalPosteriorConfig::new().init(weight.shape, weight.device);
        Some((posterior, prior()))
    });
    assert_eq!(estimated.kl_terms()[0].estimator, KlEstimator::MonteCarlo);
    let draws = (0..200).map(|index| {
        let kl = estimated.with_draw(3, index, |layer| layer.kl_cost());
        scalar(kl)
    });
    let estimate = Sample::new(draws);
    let expected = scalar(closed.kl_cost());
    // Within the half nat that the estimate is known to lack, and four standard errors.
    let off = (estimate.mean - expected).abs();
    assert!(
        off < 0.5 + 4.0 * estimate.standard_error,
        "{estimate:?}, {expected}"
    );
}

/// A normal posterior that a method of its own updates, as IVON does.
#[derive(Module, Debug)]
struct OwnUpdate {
    posterior: NormalPosterior,
}

impl Posterior for OwnUpdate {
    fn sample<const D: usize>(&self, mu: Tensor<D>, noise: &mut Noise) -> Tensor<D> {
        self.posterior.sample(mu, noise)
    }

    fn std_dev<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
        self.posterior.std_dev(mu)
    }

    fn log_density<const D: usize>(&self, mu: Tensor<D>, weight: Tensor<D>) -> Tensor<1> {
        self.posterior.log_density(mu, weight)
    }

    fn marginals<const D: usize>(&self, mu: Tensor<D>) -> Marginals<D> {
        self.posterior.marginals(mu)
    }

    fn entropy<const D: usize>(&self, q: &Marginals<D>) -> Option<Nats<D>> {
        self.posterior.entropy(q)
    }

    fn has_own_update(&self) -> bool {
        true
    }
}

#[test]
fn the_kl_of_a_posterior_with_an_update_of_its_own_has_no_gradient() {
    let device = Device::flex().autodiff();
    for group in [None, Some("all".to_string())] {
        let layer = LinearConfig::new(4, 3).with_bias(false).init(&device);
        let layer = layer.attach_posteriors(|weight| {
            let posterior = NormalPosteriorConfig::new().init(weight.shape, weight.device);
            let prior = EmpiricalNormalPriorConfig {
                group: group.clone(),
            };
            Some((OwnUpdate { posterior }, prior.init()))
        });
        assert!(scalar(layer.kl_cost()).is_finite());
        let other = Tensor::<1>::ones([1], &device).require_grad();
        let grads = (layer.kl_cost() + other.clone()).backward();
        assert!(other.grad(&grads).is_some());
        assert!(layer.weight.base().grad(&grads).is_none(), "{group:?}");
    }
}
