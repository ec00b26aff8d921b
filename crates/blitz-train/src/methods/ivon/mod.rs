//! IVON, the improved variational online Newton method: an optimizer whose preconditioner is a posterior.

mod posterior;
mod step;

pub use posterior::IvonPosterior;
pub use step::Ivon;

use blitz_layers::blitz_core::kernels::Precision;
use blitz_layers::blitz_core::{BayesianizeError, NormalPrior, WeightFilter, attach_where};
use burn::config::Config;
use burn::module::Module;

/// Configuration of [`Ivon`]: which weights get an [`IvonPosterior`], and how it is trained.
///
/// | field | default | meaning | range |
/// |---|---|---|---|
/// | `ess` | | λ, the effective number of examples: the size of the data set, or less or more for a warmer or colder posterior | > 0, and λ δ from 1e-30 to 1e30 |
/// | `hess_init` | 1 | h of every weight at the start; the deviations start at 1 / √(λ (h + δ)) | > 0 |
/// | `beta_1` | 0.9 | decay of the gradient's mean | [0, 1) |
/// | `beta_2` | 0.99999 | decay of the Hessian's mean | [0, 1) |
/// | `weight_decay` | 1e-4 | δ; the prior is N(0, 1 / (λ δ)) | > 0, and λ δ from 1e-30 to 1e30 |
/// | `clip_radius` | none | the largest step of a weight, before the learning rate | > 0 |
/// | `rescale_lr` | yes | multiply the learning rate by `hess_init + weight_decay`, so that the first steps are those of SGD | |
/// | `weights` | all | the weights to convert; the rest stay deterministic | |
///
/// Defaults are those of the authors' package `ivon-opt`. Its `mc_samples` are the draws of the [`Elbo`](crate::Elbo).
#[derive(Config, Debug)]
pub struct IvonConfig {
    /// λ, the effective number of examples.
    pub ess: f64,
    /// h of every weight at the start.
    #[config(default = 1.0)]
    pub hess_init: f64,
    /// The decay of the gradient's mean.
    #[config(default = 0.9)]
    pub beta_1: f64,
    /// The decay of the Hessian's mean.
    #[config(default = 0.99999)]
    pub beta_2: f64,
    /// δ, the precision of the prior for each of λ examples.
    #[config(default = 1e-4)]
    pub weight_decay: f64,
    /// The largest step of a weight, before the learning rate; `None` for no bound.
    pub clip_radius: Option<f64>,
    /// Whether the learning rate is that of SGD at the start.
    #[config(default = true)]
    pub rescale_lr: bool,
    /// The weights to convert.
    #[config(default = "WeightFilter::All")]
    pub weights: WeightFilter,
}

impl IvonConfig {
    /// Makes a module Bayesian for [`Ivon`]: attaches an [`IvonPosterior`] around each weight that trains and that
    /// `weights` chooses, at one of its places if it is tied, with the prior N(0, 1 / (λ δ)).
    ///
    /// # Panics
    ///
    /// Panics with the value if one is out of its range, and where [`try_attach`](Self::try_attach) returns an error.
    #[must_use]
    pub fn attach<M: Module>(&self, module: M) -> M {
        match self.try_attach(module) {
            Ok(module) => module,
            Err(error) => panic!("{error}"),
        }
    }

    /// [`attach`](Self::attach), for weights that a user or a file names.
    ///
    /// # Errors
    ///
    /// Returns an error if `weights` matches nothing, is no regular expression, or matches nothing that trains and has
    /// no posterior yet, and if an adapter such as LoRA is inside a posterior.
    ///
    /// # Panics
    ///
    /// Panics with the value if one is out of its range.
    pub fn try_attach<M: Module>(&self, module: M) -> Result<M, BayesianizeError> {
        self.check();
        let prior = (self.ess * self.weight_decay).powf(-0.5);
        attach_where(module, &self.weights, |weight| {
            let posterior = IvonPosterior::new(self, &weight);
            (posterior, NormalPrior::new(prior))
        })
    }

    /// λ (h + δ).
    fn precision(&self) -> Precision {
        Precision {
            scale: self.ess,
            shift: self.weight_decay,
        }
    }

    fn check(&self) {
        for (name, value) in [
            ("ess", self.ess),
            ("hess_init", self.hess_init),
            ("weight_decay", self.weight_decay),
        ] {
            assert!(
                value.is_finite() && value > 0.0,
                "IVON's {name} must be a positive, finite number, got {value}"
            );
        }
        for (name, beta) in [("beta_1", self.beta_1), ("beta_2", self.beta_2)] {
            assert!(
                (0.0..1.0).contains(&beta),
                "IVON's {name} must lie inside [0, 1), got {beta}"
            );
        }
        if let Some(radius) = self.clip_radius {
            assert!(
                radius > 0.0,
                "IVON's clip_radius must be positive, got {radius}"
            );
        }
    }
}
