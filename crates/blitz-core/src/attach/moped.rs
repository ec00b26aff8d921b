//! MOPED: a trained deterministic network as the start and the prior of a Bayesian one.
//!
//! Krishnan, Subedar and Tickoo, *Specifying weight priors in Bayesian deep neural networks with empirical Bayes*
//! (2020).

use std::collections::{HashMap, HashSet};

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::attachment::attachments;
use super::by_path::{MapAt, VisitAt, map_by_path, visit_by_path};
use super::convert::{attach, check_filter, check_order, without};
use super::error::BayesianizeError;
use super::filter::WeightFilter;
use super::identities::walk_apart;
use super::ties::Ties;
use super::variational::Variational;
use super::walk::{Place, Weight};
use crate::family::at_least_f32;
use crate::family::deviation::MAX_STD;
use crate::family::posterior::NormalPosterior;
use crate::family::prior::{BuiltinPrior, CenteredPrior, MIN_SCALE, PriorConfig};
use crate::fields::changed;

/// Configuration of [`moped`](crate::BayesianModule::moped).
///
/// | field | default | meaning | range |
/// |---|---|---|---|
/// | `delta` | 0.1 | a weight's deviation as a share of the weight, `σ_i = δ \|w_i\|` | > 0 |
/// | `min_std` | 1e-3 | the least deviation, for weights at or near zero | [1e-15, 1e15] |
/// | `prior` | none | the prior of the differences from the trained weights | |
/// | `weights` | all | the weights to convert | |
///
/// Without a `prior`, that of each tensor is a normal whose deviation is the root mean square of the tensor's σ_i at
/// the start, and stays that. The KL is 0.45 to 0.64 nats a weight then: where the weights are uniform, and where they
/// are normal. The paper's prior, and that of BLiTZ and bayesian-torch, has a deviation of 1:
/// `with_prior(Some(PriorConfig::normal(1.0)))`. From it a weight with σ = 0.01 is 4 nats away, and since a network has
/// more weights than there are examples, the KL then outweighs what the data say and widens the posterior until the
/// trained network is lost in it.
///
/// An empirical normal is none to train with here: about fixed centres the KL from the best scale does not change when
/// all σ and all distances shrink together, and the NLL has them do so.
#[derive(Config, Debug)]
pub struct MopedConfig {
    /// δ, the deviation as a share of the weight.
    #[config(default = 0.1)]
    pub delta: f64,
    /// The least deviation.
    #[config(default = 1e-3)]
    pub min_std: f64,
    /// The prior of the differences from the trained weights.
    pub prior: Option<PriorConfig>,
    /// The weights to convert.
    #[config(default = "WeightFilter::All")]
    pub weights: WeightFilter,
}

/// What [`moped`](crate::BayesianModule::moped) attaches: `param.reparameterization::<MopedVariational>()`.
pub type MopedVariational = Variational<NormalPosterior, CenteredPrior<BuiltinPrior>>;

impl MopedConfig {
    /// Converts these weights only.
    #[must_use]
    pub fn only(mut self, weights: impl Into<WeightFilter>) -> Self {
        self.weights = weights.into();
        self
    }

    pub(crate) fn apply<M: Module>(&self, module: M) -> Result<M, BayesianizeError> {
        assert!(
            self.delta.is_finite() && self.delta > 0.0,
            "MOPED's delta must be a positive, finite number, got {}",
            self.delta
        );
        assert!(
            // A tensor of zeros has a prior as wide, and priors are no narrower.
            (MIN_SCALE..=MAX_STD).contains(&self.min_std),
            "MOPED's min_std must be a number from {MIN_SCALE:e} to {MAX_STD:e}, got {:?}",
            self.min_std
        );
        let (module, walk) = walk_apart(module);
        check_order(&walk)?;
        check_filter(&self.weights, &walk)?;
        let chosen: Vec<&Weight> = walk
            .weights
            .iter()
            .filter(|weight| self.weights.matches_somewhere(weight))
            .collect();
        let is_converted = |weight: &&Weight| {
            weight.is_convertible() || weight.trains && weight.posterior().is_some()
        };
        if !chosen.iter().any(is_converted) {
            return Err(BayesianizeError::nothing(&walk, &chosen));
        }
        let converted: Vec<&Weight> = chosen.into_iter().filter(is_converted).collect();

        // A weight that has a posterior is at its mean, which need not be the stored tensor.
        let mut means = Means::default();
        let mut unused = HashMap::new();
        for attachment in attachments(&module) {
            unused.insert(attachment.id(), attachment.unused_row());
            let weight = converted
                .iter()
                .find(|w| w.posterior() == Some(attachment.id()));
            let places = weight.into_iter().flat_map(|weight| &weight.places);
            let mean = |place: &Place| (place.path.clone(), attachment.mean());
            means.by_path.extend(places.map(mean));
        }
        // By their paths: weights that were loaded from one file have the same ids.
        let is_chosen =
            |weight: &Weight| converted.iter().any(|other| other.path() == weight.path());
        let module = without(module, &walk, is_chosen)?;
        let module = Ties::of(&walk).retie(map_by_path(module, &mut means));

        let paths = converted.iter().map(|weight| weight.path().to_string());
        let mut initial = Initial {
            config: self,
            paths: paths.collect(),
            by_path: HashMap::new(),
            not_finite: Vec::new(),
        };
        visit_by_path(&module, &mut initial);
        if !initial.not_finite.is_empty() {
            return Err(BayesianizeError::NotFinite {
                weights: initial.not_finite,
            });
        }
        let mut by_path = initial.by_path;
        let attached = converted.into_iter().filter_map(|weight| {
            let (posterior, prior) = by_path.remove(weight.path())?;
            let unused = weight.posterior().and_then(|id| *unused.get(&id)?);
            let variational = Variational::new(posterior, prior);
            Some((weight, variational.with_unused_row(unused)))
        });
        Ok(attach(module, attached))
    }
}

/// Sets weights that had a posterior to its means, which need not be the stored tensor.
#[derive(Default)]
struct Means {
    by_path: HashMap<String, Tensor<1>>,
}

impl MapAt for Means {
    fn map_at<const D: usize>(&mut self, path: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.by_path.remove(path) {
            None => param,
            Some(mean) => changed(param, |mu| mean.reshape(mu.shape())),
        }
    }
}

/// Makes the posterior and the prior of each weight from its value.
struct Initial<'a> {
    config: &'a MopedConfig,
    /// The weights that are converted.
    paths: HashSet<String>,
    by_path: HashMap<String, (NormalPosterior, CenteredPrior<BuiltinPrior>)>,
    /// The weights among them that no deviation can be made of.
    not_finite: Vec<String>,
}

impl VisitAt for Initial<'_> {
    fn visit_at<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        let config = self.config;
        if self.paths.contains(path) {
            let mu = param.base().detach();
            // In 16 bits a small deviation would be zero.
            let share = at_least_f32(mu.clone()).abs() * config.delta;
            if !are_deviations(&share) {
                self.not_finite.push(path.to_string());
                return;
            }
            let std = share.clamp_min(config.min_std);
            let prior = config.prior.clone().unwrap_or_else(|| {
                let mean = root_mean_square(&std).unwrap_or(config.min_std);
                PriorConfig::normal(mean.max(config.min_std))
            });
            let prior = prior.init(&mu.device());
            self.by_path.insert(
                path.to_string(),
                (
                    NormalPosterior::from_std(std),
                    CenteredPrior::new(mu, prior),
                ),
            );
        }
    }
}

/// Whether none of these, of which there may be none, is NaN or larger than a deviation.
fn are_deviations<const D: usize>(values: &Tensor<D>) -> bool {
    let are_small_enough = || values.clone().lower_equal_elem(MAX_STD).all();
    values.dims().contains(&0) || are_small_enough().into_scalar::<bool>()
}

/// Of deviations, in whose type their squares may not fit; none of no deviations.
fn root_mean_square<const D: usize>(std: &Tensor<D>) -> Option<f64> {
    if std.dims().contains(&0) {
        return None;
    }
    let largest = std.clone().max();
    let mean = (std.clone() / largest.clone().reshape([1; D]))
        .square()
        .mean();
    Some((mean.sqrt() * largest).into_scalar::<f64>())
}
