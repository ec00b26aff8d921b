//! MOPED: a trained deterministic network as the start and the prior of a Bayesian one.
//!
//! Krishnan, Subedar and Tickoo, *Specifying weight priors in Bayesian deep neural networks with empirical Bayes* (2020).

use std::collections::HashMap;

use burn::config::Config;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

use crate::convert::{BayesianizeError, attach, check_filter};
use crate::filter::WeightFilter;
use crate::inventory::Inventory;
use crate::posterior::NormalPosterior;
use crate::prior::{BuiltinPrior, CenteredPrior, PriorConfig};
use crate::survey::take_off;
use crate::variational::Variational;

/// Configuration of [`moped`](crate::BayesianModule::moped).
///
/// | field | default | meaning | range |
/// |---|---|---|---|
/// | `delta` | 0.1 | a weight's deviation as a share of the weight, `σ_i = δ \|w_i\|` | > 0 |
/// | `min_std` | 1e-3 | the least deviation, for weights at or near zero | ≥ 1e-30 |
/// | `prior` | standard normal | the prior of the differences from the trained weights | |
/// | `weights` | all | the weights to convert | |
///
/// The paper's prior is a normal of deviation 1 around the trained weights; `prior` may be any other.
#[derive(Config, Debug)]
pub struct MopedConfig {
    /// δ, the deviation as a share of the weight.
    #[config(default = 0.1)]
    pub delta: f64,
    /// The least deviation.
    #[config(default = 1e-3)]
    pub min_std: f64,
    /// The prior of the differences from the trained weights.
    #[config(default = "PriorConfig::default()")]
    pub prior: PriorConfig,
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
            self.min_std.is_finite() && self.min_std >= 1e-30,
            "MOPED's min_std must be a finite number of at least 1e-30, got {}",
            self.min_std
        );
        let inventory = Inventory::of(&module);
        check_filter(&self.weights, &inventory)?;

        let (module, mut kept) = take_off(module, &inventory);
        let mut means = Means::default();
        for weight in &inventory.weights {
            if weight.trains
                && self.weights.matches(&weight.info())
                && let Some(posterior) = kept.remove(&weight.path)
            {
                means.by_path.insert(weight.path.clone(), posterior.mean());
            }
        }
        let module = kept.attach(module.map(&mut means));

        let inventory = Inventory::of(&module);
        let mut initial = Initial {
            config: self,
            inventory: &inventory,
            path: Vec::new(),
            by_path: HashMap::new(),
        };
        module.visit(&mut initial);
        let mut by_path = initial.by_path;
        Ok(attach(module, &inventory, |weight| {
            by_path.remove(weight.path)
        }))
    }
}

/// Sets weights that had a posterior to its means, which need not be the stored tensor.
#[derive(Default)]
struct Means {
    by_path: HashMap<String, Tensor<1>>,
    path: Vec<String>,
}

impl ModuleMapper for Means {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.by_path.remove(&self.path.join(".")) {
            None => param,
            Some(mean) => param.map(|mu| {
                let require_grad = mu.is_require_grad();
                mean.reshape(mu.shape())
                    .detach()
                    .set_require_grad(require_grad)
            }),
        }
    }
}

/// Makes the posterior and the prior of each weight from its value.
struct Initial<'a> {
    config: &'a MopedConfig,
    inventory: &'a Inventory,
    path: Vec<String>,
    by_path: HashMap<String, (NormalPosterior, CenteredPrior<BuiltinPrior>)>,
}

impl ModuleVisitor for Initial<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.path.join(".");
        let config = self.config;
        let chosen = self.inventory.get(&path).is_some_and(|weight| {
            weight.is_convertible() && config.weights.matches(&weight.info())
        });
        if chosen {
            let mu = param.base().detach();
            let std = (mu.clone().abs() * config.delta).clamp_min(config.min_std);
            let prior = config.prior.init(&mu.device());
            self.by_path.insert(
                path,
                (
                    NormalPosterior::from_std(std),
                    CenteredPrior::new(mu, prior),
                ),
            );
        }
    }
}
