//! Yesterday's posterior as today's prior.

use std::panic::{AssertUnwindSafe, catch_unwind};

use blitz_core::prelude::*;
use blitz_core::{
    BayesianizeError, BuiltinPosterior, KlEstimator, LocationScale, Nats, Noise, NormalPosterior,
    NormalPosteriorConfig, NormalPrior, Posterior, PosteriorPrior, UnitNoise, Variational,
    kl_divergence,
};
use burn::module::{Module, ModuleMapper, Param};
use burn::nn::Linear;
use burn::store::ModuleRecord;
use burn::tensor::{DType, Device, Shape, Tensor};

use crate::digest::given;
use crate::net::{Net, devices, families, linear, scalar, values};
use crate::statistics::Sample;
use crate::types::TYPES;

type Renewed = Variational<BuiltinPosterior, PosteriorPrior<BuiltinPosterior>>;

/// As a training would: every parameter that trains goes elsewhere.
struct Wiggle(f32);

impl ModuleMapper for Wiggle {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !blitz_core::trains(&param) {
            return param;
        }
        param.map(|value| {
            let n = value.shape().num_elements();
            let moved = (0..n).map(|i| 0.4 * (1.7 * i as f32 + self.0).sin());
            let moved =
                Tensor::<1>::from_floats(moved.collect::<Vec<_>>().as_slice(), &value.device());
            let grads = value.is_require_grad();
            let moved = value.clone() + moved.cast(value.dtype()).reshape(value.shape());
            moved.detach().set_require_grad(grads)
        })
    }
}

fn net(posterior: &PosteriorConfig, device: &Device) -> Net {
    let config = BayesianizeConfig::new()
        .with_posterior(posterior.clone())
        .with_prior(PriorConfig::learned_normal(0.7));
    Net::plain(device)
        .bayesianize(&config)
        .map(&mut Wiggle(1.0))
}

fn kl(net: &impl BayesianModule) -> f64 {
    scalar(net.with_draw(3, 0, BayesianModule::kl_cost))
}

#[test]
fn a_kl_that_was_made_with_its_weight_is_none_of_what_became_of_the_posterior() {
    for device in devices() {
        let before = linear(3, 2, false, 0.6, &device).bayesianize(&BayesianizeConfig::new());
        let shifted = |mut net: Linear| {
            net.weight = net.weight.map(|mean| mean + 1.0);
            Ok::<_, std::convert::Infallible>(net)
        };
        type Change<'a> = &'a dyn Fn(Linear) -> Linear;
        let changes: [(&str, Change); 4] = [
            ("posterior_as_prior", &Linear::posterior_as_prior),
            ("scale_deviations", &|net| net.scale_deviations(2.0)),
            ("map_means", &|net| net.map_means(shifted).unwrap()),
            ("prune", &|net| net.prune_by_signal_to_noise(0.5).0),
        ];
        for (name, change) in changes {
            let outside = values(change(before.clone()).kl_cost());
            let _outer = before.draw(1, 0).with_kl();
            let _ = before.weight.val();
            let inner = before.draw(1, 1).with_kl();
            let _ = before.weight.val();
            let kept = values(before.kl_cost());
            let after = change(before.clone());
            assert_ne!(values(after.kl_cost()), kept, "{name}");
            assert_eq!(values(after.kl_cost()), outside, "{name}");
            drop(inner);
            assert_eq!(
                values(after.kl_cost()),
                outside,
                "{name}, in the outer draw"
            );
        }
    }
}

#[test]
fn a_weight_that_was_made_is_none_of_what_became_of_its_posterior() {
    // Without a closed form: the KL is taken at the weight.
    let config = BayesianizeConfig::new()
        .with_posterior(PosteriorConfig::laplace(0.1))
        .with_prior(PriorConfig::student_t(4.0, 0.5));
    let shifted = |mut net: Linear| {
        net.weight = net.weight.map(|mean| mean + 1.0);
        Ok::<_, std::convert::Infallible>(net)
    };
    type Change<'a> = &'a dyn Fn(Linear) -> Linear;
    let changes: [Change; 3] = [
        &|net| net.scale_deviations(0.1),
        &|net| net.map_means(shifted).unwrap(),
        &|net| net.prune_by_signal_to_noise(0.5).0,
    ];
    for device in devices() {
        let before = linear(3, 2, false, 0.6, &device).bayesianize(&config);
        let read = |net: &Linear| (values(net.weight.val()), values(net.kl_cost()));
        for change in changes {
            let after = change(before.clone());
            let expected = after.with_draw(1, 0, read);
            let _draw = before.draw(1, 0);
            assert_ne!(read(&before), expected);
            assert_eq!(read(&change(before.clone())), expected);
        }
    }
}

#[test]
fn the_kl_of_every_family_is_zero_and_draws_stay() {
    for device in devices() {
        for family in families(0.3) {
            let before = net(&family, &device);
            assert!(kl(&before) > 1.0, "{family:?}");
            let after = before.clone().posterior_as_prior();
            // 40 weights, each rounded to f32.
            let now = kl(&after);
            assert!(now.abs() < 40.0 * 2e-6, "{family:?}: {now}");
            let x = Tensor::<2>::ones([2, 3], &device);
            let draw = |net: &Net| values(net.with_draw(7, 5, |net| net.forward(x.clone())));
            assert_eq!(draw(&before), draw(&after), "{family:?}");
            let means = |net: &Net| values(net.mean_network().hidden.weight.val());
            assert_eq!(means(&before), means(&after));
            let count = |net: &Net| (net.num_bayesian_weights(), net.kl_terms().len());
            assert_eq!(count(&before), count(&after));
            assert_eq!(after.num_posterior_params(), {
                // The learned scale of each of five tensors has gone.
                before.num_posterior_params() - 5
            });
        }
    }
}

/// Where a scale does not count as a divisor any more.
#[test]
fn the_kl_of_the_narrowest_deviations_is_zero_and_that_of_wider_ones_their_own() {
    let device = Device::flex().autodiff();
    // Of deviations twice as wide: half of 4 − 1 − ln 4 in each weight of a normal.
    let wider = |family: &PosteriorConfig| match family {
        PosteriorConfig::Normal(_) | PosteriorConfig::MatrixNormal(_) => Some(1.5 - 2f64.ln()),
        // 2 − 1 − ln 2.
        PosteriorConfig::Laplace(_) => Some(1.0 - 2f64.ln()),
        _ => None,
    };
    for std in [1e-30, 1e-20, 1e-17, 1e-16] {
        for family in [
            PosteriorConfig::normal(std),
            PosteriorConfig::laplace(std),
            PosteriorConfig::matrix_normal(std),
            PosteriorConfig::student_t(4.0, std),
            PosteriorConfig::radial(std),
            PosteriorConfig::full_rank_normal(std),
        ] {
            let config = BayesianizeConfig::new().with_posterior(family.clone());
            let net = linear(4, 3, false, 0.5, &device).bayesianize(&config);
            let net = net.posterior_as_prior();
            let start = kl(&net);
            assert!(start.abs() < 12.0 * 1e-4, "{family:?}: {start}");
            let Some(expected) = wider(&family) else {
                continue;
            };
            let got = kl(&net.scale_deviations(2.0)) / 12.0;
            assert!((got - expected).abs() < 1e-3, "{family:?}: {got}");
        }
    }
}

#[test]
fn from_then_on_the_kl_is_that_from_the_posterior_of_that_moment() {
    let device = Device::flex();
    for family in families(0.3) {
        let shape = Shape::new([5, 4]);
        let mu = given(linear(5, 4, false, 0.4, &device), 0.4, DType::F32)
            .weight
            .val();
        let q0 = family.init(&shape, &device).map(&mut Wiggle(1.0));
        let q1 = family.init(&shape, &device).map(&mut Wiggle(2.0));
        let mu1 = mu.clone() * 0.8 + 0.05;
        let prior = PosteriorPrior::new(mu.clone(), q0.clone());

        let difference = (0..3000).map(|index| {
            let mut noise = Noise::new(NoiseKey::new(5, index, 0));
            let w = q1.sample(mu1.clone(), &mut noise);
            let log_q = scalar(q1.log_density(mu1.clone(), w.clone()));
            log_q - scalar(q0.log_density(mu.clone(), w))
        });
        let monte_carlo = Sample::new(difference);
        match kl_divergence(&q1, &prior, &mu1) {
            Some(closed) => monte_carlo.assert_mean(scalar(closed), 4.5, &format!("{family:?}")),
            None => assert!(
                matches!(
                    family,
                    PosteriorConfig::StudentT(_)
                        | PosteriorConfig::Radial(_)
                        | PosteriorConfig::LowRankNormal(_)
                        | PosteriorConfig::FullRankNormal(_)
                ),
                "{family:?} has a closed form"
            ),
        }

        // The same through a module, whose weights then move.
        let config = BayesianizeConfig::new().with_posterior(family.clone());
        let layer = linear(5, 4, false, 0.4, &device).bayesianize(&config);
        let yesterday = layer.map(&mut Wiggle(1.0));
        let today = yesterday.clone().posterior_as_prior().map(&mut Wiggle(2.0));
        let now = today.weight.reparameterization::<Renewed>().unwrap();
        let was = yesterday
            .weight
            .reparameterization::<blitz_core::BuiltinVariational>()
            .unwrap();
        let w = today.with_draw(3, 0, |today| today.weight.val());
        let expected = match kl_divergence(&now.posterior, &now.prior, &today.weight.base()) {
            Some(kl) => {
                assert_eq!(today.kl_terms()[0].estimator, KlEstimator::ClosedForm);
                scalar(kl)
            }
            None => {
                let log_q = now.posterior.log_density(today.weight.base(), w.clone());
                scalar(log_q - was.posterior.log_density(yesterday.weight.base(), w))
            }
        };
        assert!(
            (kl(&today) - expected).abs() < 1e-4 * expected.abs(),
            "{family:?}"
        );
    }
}

#[test]
fn the_kl_of_two_normals_is_the_hand_computed_one() {
    let device = Device::flex();
    let q = |std: [f32; 2]| NormalPosterior::from_std(Tensor::<1>::from_floats(std, &device));
    let at = |mu: [f32; 2]| Tensor::<1>::from_floats(mu, &device);
    let prior = PosteriorPrior::new(at([1.0, -2.0]), q([0.5, 0.2]));
    let kl = kl_divergence(&q([0.1, 0.4]), &prior, &at([1.5, -1.9])).unwrap();
    let of = |mu: f64, std: f64, mu0: f64, std0: f64| {
        (std0 / std).ln() + (std * std + (mu - mu0).powi(2)) / (2.0 * std0 * std0) - 0.5
    };
    let expected = of(1.5, 0.1, 1.0, 0.5) + of(-1.9, 0.4, -2.0, 0.2);
    assert!((scalar(kl) - expected).abs() < 1e-5, "{expected}");
}

#[test]
fn each_day_replaces_the_prior_of_the_day_before() {
    let device = Device::flex();
    let first = net(&PosteriorConfig::normal(0.3), &device).posterior_as_prior();
    let moved = first.map(&mut Wiggle(2.0));
    assert!(kl(&moved) > 1.0);
    let second = moved.posterior_as_prior();
    assert!(kl(&second).abs() < 40.0 * 2e-6);
    // Of the same type: a third day has no prior in a prior.
    assert!(
        second
            .hidden
            .weight
            .reparameterization::<Renewed>()
            .is_some()
    );
    let summary = second.bayesian_summary().to_string();
    assert!(summary.contains("Posterior Normal"), "{summary}");
}

#[test]
fn a_record_has_the_prior() {
    let device = Device::flex();
    for family in families(0.3) {
        let saved = net(&family, &device)
            .posterior_as_prior()
            .map(&mut Wiggle(2.0));
        let bytes = saved.clone().into_record().into_bytes().unwrap();
        let config = BayesianizeConfig::new().with_posterior(family.clone());
        let fresh = Net::plain(&device)
            .bayesianize(&config)
            .posterior_as_prior();
        let record = ModuleRecord::from_bytes(bytes).unwrap();
        let loaded = fresh.try_load_record(record.clone()).unwrap();
        assert_eq!(kl(&loaded), kl(&saved), "{family:?}");
        assert!(kl(&loaded) > 1.0);
        // One that was not through the call has no place for it; one of another family has another place.
        let plain = Net::plain(&device).bayesianize(&config);
        assert!(plain.try_load_record(record.clone()).is_err(), "{family:?}");
        let other = match family {
            PosteriorConfig::Laplace(_) => PosteriorConfig::normal(0.3),
            _ => PosteriorConfig::laplace(0.3),
        };
        let other = BayesianizeConfig::new().with_posterior(other);
        let other = Net::plain(&device).bayesianize(&other).posterior_as_prior();
        assert!(other.try_load_record(record).is_err(), "{family:?}");
    }
}

#[test]
fn degrees_of_freedom_of_the_prior_are_restored() {
    let layer = |df: f64| {
        let config = BayesianizeConfig::new().with_posterior(PosteriorConfig::student_t(df, 0.3));
        let layer = linear(3, 2, false, 0.5, &Device::flex()).bayesianize(&config);
        layer.posterior_as_prior()
    };
    let bytes = layer(3.0).into_record().into_bytes().unwrap();
    let loaded = layer(30.0)
        .try_load_record(ModuleRecord::from_bytes(bytes).unwrap())
        .unwrap();
    let variational = loaded.weight.reparameterization::<Renewed>().unwrap();
    let BuiltinPosterior::StudentT(prior) = &variational.prior.posterior else {
        panic!("{:?}", variational.prior)
    };
    assert_eq!(prior.unit.df, 3.0);
    assert!(kl(&loaded).abs() < 1e-5);
}

#[test]
fn the_prior_does_not_train_and_the_posterior_does() {
    let device = Device::flex().autodiff();
    for family in families(0.3) {
        let net = net(&family, &device)
            .posterior_as_prior()
            .map(&mut Wiggle(2.0));
        // Burn's `unfreeze` makes every parameter require a gradient.
        for net in [net.clone(), net.unfreeze()] {
            let layer: &Linear = &net.hidden;
            let grads = net.with_draw(3, 0, |net| net.kl_cost().backward());
            let variational = layer.weight.reparameterization::<Renewed>().unwrap();
            assert!(layer.weight.base().grad(&grads).is_some(), "{family:?}");
            assert!(variational.prior.location.val().grad(&grads).is_none());
            let mut gradients = Gradients {
                grads: &grads,
                found: 0,
            };
            variational.posterior.visit(&mut gradients);
            assert!(gradients.found > 0, "{family:?}");
            gradients.found = 0;
            variational.prior.visit(&mut gradients);
            assert_eq!(gradients.found, 0, "{family:?}");
        }
    }
}

struct Gradients<'a> {
    grads: &'a burn::tensor::Gradients,
    found: usize,
}

impl burn::module::ModuleVisitor for Gradients<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.found += usize::from(param.val().grad(self.grads).is_some());
    }
}

#[test]
fn weights_of_every_float_type_take_it() {
    for dtype in TYPES {
        for family in families(0.3) {
            let layer = given(linear(4, 3, false, 0.5, &Device::flex()), 0.5, dtype);
            let config = BayesianizeConfig::new().with_posterior(family.clone());
            let layer = layer.bayesianize(&config).posterior_as_prior();
            let now = kl(&layer);
            assert!(now.abs() < 12.0 * 2e-6, "{family:?} in {dtype:?}: {now}");
        }
    }
}

#[test]
fn a_row_that_is_never_read_pays_nothing_under_it() {
    let device = Device::flex();
    for family in families(0.3) {
        let layer = linear(5, 4, false, 0.5, &device);
        let posterior = family.init(&Shape::new([5, 4]), &device);
        let variational =
            Variational::new(posterior, NormalPrior::new(1.0)).with_unused_row(Some(1));
        let layer = Linear {
            weight: attach(layer.weight.clone(), variational),
            ..layer
        };
        let layer = layer.posterior_as_prior();
        assert!(kl(&layer).abs() < 1e-4, "{family:?}");
        // The row moves alone. A radial posterior is one of a whole tensor, and that of a part of a full-rank one not
        // computed.
        let moved = layer.map_means(|mut layer| {
            let up = Tensor::from_floats([[0.0], [1.0], [0.0], [0.0], [0.0]], &device);
            layer.weight = layer.weight.map(|weight| weight + up);
            Ok::<_, std::convert::Infallible>(layer)
        });
        let Ok(moved) = moved;
        let pays = kl(&moved).abs() > 1e-4;
        assert_eq!(
            pays,
            matches!(
                family,
                PosteriorConfig::Radial(_) | PosteriorConfig::FullRankNormal(_)
            ),
            "{family:?}"
        );
    }
}

fn attach<Q: Posterior>(
    param: Param<Tensor<2>>,
    variational: Variational<Q, NormalPrior>,
) -> Param<Tensor<2>> {
    struct Attach<R>(Option<R>);
    impl<R: burn::module::Reparameterization> burn::module::Reparameterizer for Attach<R> {
        type Reparam = R;
        fn reparameterize<const D: usize>(
            &mut self,
            _path: &str,
            param: Param<Tensor<D>>,
        ) -> (Param<Tensor<D>>, Option<R>) {
            (param, self.0.take())
        }
    }
    param.apply_reparameterization(Attach(Some(variational)))
}

#[test]
fn what_is_pruned_stays_pruned() {
    let net = net(&PosteriorConfig::normal(0.3), &Device::flex());
    let (net, _) = net.prune_by_signal_to_noise(0.5);
    let before = values(net.sample_network(1, 0).hidden.weight.val());
    let net = net.posterior_as_prior();
    assert_eq!(before, values(net.sample_network(1, 0).hidden.weight.val()));
    assert!(before.contains(&0.0));
    assert!(kl(&net).abs() < 40.0 * 2e-6);
}

#[test]
fn a_tied_weight_has_one_prior() {
    #[derive(Module, Debug)]
    struct Tied {
        first: Linear,
        second: Linear,
    }
    let layer = linear(3, 3, false, 0.5, &Device::flex());
    let tied = Tied {
        first: layer.clone(),
        second: layer,
    };
    let tied = tied
        .bayesianize(&BayesianizeConfig::new())
        .posterior_as_prior();
    assert_eq!((tied.num_bayesian_weights(), tied.kl_terms().len()), (9, 1));
    tied.with_draw(1, 0, |tied| {
        assert_eq!(
            values(tied.first.weight.val()),
            values(tied.second.weight.val())
        );
    });
}

/// A posterior whose log density holds only where it draws, and which says what it is of some rows and nothing of their
/// marginal distribution.
#[derive(Module, Debug)]
struct CautiousPosterior {
    inner: NormalPosterior,
}

impl Posterior for CautiousPosterior {
    fn sample<const D: usize>(&self, mu: Tensor<D>, noise: &mut Noise) -> Tensor<D> {
        self.inner.sample(mu, noise)
    }

    fn std_dev<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
        self.inner.std_dev(mu)
    }

    fn log_density<const D: usize>(&self, mu: Tensor<D>, weight: Tensor<D>) -> Tensor<1> {
        self.inner.log_density(mu, weight)
    }

    fn rows(&self, shape: &Shape, rows: &[usize]) -> Option<Self> {
        let inner = self.inner.rows(shape, rows)?;
        Some(Self { inner })
    }
}

/// Noise that does not say that its density is one of all noise.
#[derive(Module, Debug)]
struct CautiousUnit {}

impl UnitNoise for CautiousUnit {
    fn sample<const D: usize>(&self, noise: &mut Noise, like: &Tensor<D>) -> Tensor<D> {
        noise.standard_normal(like)
    }

    fn std_dev(&self, _elements: usize) -> f64 {
        1.0
    }

    fn log_density<const D: usize>(&self, z: Tensor<D>) -> Nats<D> {
        Nats::of_weights(z.square() * -0.5 - 0.918_938_533_204_672_7)
    }
}

#[test]
#[should_panic(expected = "a prior needs a density over all weights")]
fn noise_without_a_density_of_all_makes_no_prior() {
    let device = Device::flex();
    let posterior = LocationScale::new(CautiousUnit {}, 0.3, &Shape::new([2]), &device);
    let _ = PosteriorPrior::new(Tensor::<1>::zeros([2], &device), posterior);
}

#[test]
fn the_marginal_of_rows_is_what_the_posterior_is_of_them() {
    let shape = Shape::new([4, 3]);
    let inner = NormalPosteriorConfig::new().init(&shape, &Device::flex());
    let marginal = CautiousPosterior { inner }.marginal_of_rows(&shape, &[2, 0]);
    let marginal = marginal.expect("that of two rows");
    assert_eq!(marginal.inner.rho.dims(), [6]);
}

#[test]
fn what_can_be_no_prior_is_refused_by_name() {
    let device = Device::flex();
    let layer = linear(3, 2, true, 0.5, &device);
    let error = layer.clone().try_posterior_as_prior().unwrap_err();
    assert_eq!(error, BayesianizeError::NotBayesian);
    assert_eq!(
        error.to_string(),
        "no weight of the module has a posterior; `bayesianize` gives it some"
    );
    let layer = layer.attach_posteriors(|weight| {
        let inner = NormalPosteriorConfig::new().init(weight.shape, weight.device);
        Some((CautiousPosterior { inner }, NormalPrior::new(1.0)))
    });
    let error = layer.clone().try_posterior_as_prior().unwrap_err();
    let weights = ["weight (Cautious)", "bias (Cautious)"]
        .map(String::from)
        .to_vec();
    assert_eq!(error, BayesianizeError::NoPrior { weights });
    let message = error.to_string();
    assert!(
        message.contains("weight (Cautious), bias (Cautious)"),
        "{message}"
    );
    let panic = catch_unwind(AssertUnwindSafe(|| layer.posterior_as_prior()));
    let panic = panic.unwrap_err();
    assert_eq!(panic.downcast_ref::<String>(), Some(&message));
}

#[test]
fn scaled_deviations_are_their_multiples_in_every_family_and_the_means_stay() {
    for device in devices() {
        for family in families(0.3) {
            let before = net(&family, &device).posterior_as_prior();
            let after = before.clone().scale_deviations(1.25);
            let (was, is) = (before.weight_marginals(), after.weight_marginals());
            assert_eq!(was.len(), is.len());
            for (was, is) in was.iter().zip(&is) {
                assert_eq!(was.means, is.means, "{family:?}: {}", was.path);
                for (was, is) in was.std_devs.iter().zip(&is.std_devs) {
                    assert!((is / was - 1.25).abs() < 1e-5, "{family:?}: {was}, {is}");
                }
            }
            // Noise times 1.25, about the same mean.
            let layer = |net: &Net| {
                let mean = values(net.mean_network().hidden.weight.val());
                let draw = values(net.sample_network(7, 5).hidden.weight.val());
                (mean, draw)
            };
            let ((mean, was), (_, is)) = (layer(&before), layer(&after));
            for ((mean, was), is) in mean.iter().zip(&was).zip(&is) {
                let off = (is - mean) - 1.25 * (was - mean);
                assert!(off.abs() < 1e-5, "{family:?}: {mean}, {was}, {is}");
            }
            assert!(kl(&after).abs() > 0.01, "{family:?}: the prior has stayed");
            // The parameters are those of before, and train on.
            let ids = |net: &Net| net.weight_marginals().len() + net.num_posterior_params();
            assert_eq!(ids(&before), ids(&after));
            let moved = after.clone().map(&mut Wiggle(2.0));
            assert_ne!(moved.weight_marginals()[0].std_devs, is_std(&after));
        }
    }
}

fn is_std(net: &Net) -> Vec<f32> {
    net.weight_marginals()[0].std_devs.clone()
}

#[test]
fn what_cannot_be_scaled_is_refused_by_name() {
    let device = Device::flex();
    let layer = linear(3, 2, true, 0.5, &device);
    let error = layer.clone().try_scale_deviations(2.0).unwrap_err();
    assert_eq!(error, BayesianizeError::NotBayesian);
    let layer = layer.attach_posteriors(|weight| {
        let inner = NormalPosteriorConfig::new().init(weight.shape, weight.device);
        Some((CautiousPosterior { inner }, NormalPrior::new(1.0)))
    });
    let error = layer.clone().try_scale_deviations(2.0).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("weight (Cautious), bias (Cautious)"),
        "{error}"
    );
    for factor in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let layer = layer.clone();
        let panic = catch_unwind(AssertUnwindSafe(|| layer.scale_deviations(factor)));
        let panic = panic.unwrap_err();
        let message = panic.downcast_ref::<String>().unwrap();
        assert!(message.ends_with(&format!("got {factor}")), "{message}");
    }
}
