//! Any Burn module made Bayesian: posteriors attached to its parameters, its code unchanged.

use burn::config::Config;
use burn::module::{Module, Param, ParamGroup, Reparameterizer};
use burn::tensor::Tensor;

use crate::posterior::{BuiltinPosterior, Posterior, PosteriorConfig, WeightInfo};
use crate::prior::{BuiltinPrior, Prior, PriorConfig};
use crate::variational::{NAME, Variational};

/// Configuration of [`bayesianize`](crate::BayesianModule::bayesianize): which parameters become Bayesian, and how.
///
/// | field | default | meaning |
/// |---|---|---|
/// | `posterior` | σ starts at 0.02 | the mean-field normal posterior |
/// | `prior` | standard normal | the prior of every converted weight |
/// | `group` | all | which parameters, by Burn's [`ParamGroup`] |
///
/// Of the group, the parameters that train are converted: running statistics and frozen parameters stay as they are,
/// and so do parameters that have a posterior already.
#[derive(Config, Debug)]
pub struct BayesianizeConfig {
    /// The posterior of each converted weight.
    #[config(default = "PosteriorConfig::default()")]
    pub posterior: PosteriorConfig,
    /// The prior of each converted weight.
    #[config(default = "PriorConfig::default()")]
    pub prior: PriorConfig,
    /// The parameters to convert, by path or id.
    #[config(default = "ParamGroup::all()")]
    pub group: ParamGroup,
}

/// The posterior and prior that [`BayesianizeConfig`] and the layers attach.
pub type BuiltinVariational = Variational<BuiltinPosterior, BuiltinPrior>;

impl BayesianizeConfig {
    pub(crate) fn apply<M: Module>(&self, module: M) -> M {
        attach(module, Some(self.group.clone()), |weight| {
            let posterior = self.posterior.init(weight.shape, weight.device);
            Some((posterior, self.prior.init(weight.device)))
        })
    }
}

/// Attaches what `choose` returns to each parameter of `group` that trains and has no posterior.
pub(crate) fn attach<M, Q, P>(
    module: M,
    group: Option<ParamGroup>,
    choose: impl FnMut(WeightInfo<'_>) -> Option<(Q, P)>,
) -> M
where
    M: Module,
    Q: Posterior,
    P: Prior,
{
    module.apply_reparameterization(Attach { group, choose })
}

struct Attach<F> {
    group: Option<ParamGroup>,
    choose: F,
}

impl<F, Q, P> Reparameterizer for Attach<F>
where
    F: FnMut(WeightInfo<'_>) -> Option<(Q, P)>,
    Q: Posterior,
    P: Prior,
{
    type Reparam = Variational<Q, P>;

    fn reparameterize<const D: usize>(
        &mut self,
        path: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<Self::Reparam>) {
        // Burn's traversal enters what is already attached: ρ itself must not get a posterior.
        let inside_posterior = path.split('.').any(|component| component == NAME);
        let in_group = self
            .group
            .as_ref()
            .is_none_or(|group| group.matches(&param.id, Some(path)));
        if inside_posterior || !in_group || !trains(&param) {
            return (param, None);
        }
        let shape = param.lazy_shape();
        let device = param.lazy_device();
        let variational = (self.choose)(WeightInfo {
            path,
            shape: &shape,
            device: &device,
        })
        .map(|(posterior, prior)| Variational::new(posterior, prior));
        (param, variational)
    }
}

/// Whether an optimizer updates the parameter in training, whichever mode the module is in now.
fn trains<const D: usize>(param: &Param<Tensor<D>>) -> bool {
    if param.base().is_autodiff() {
        return param.is_require_grad();
    }
    // Without autodiff no tensor requires a gradient; what the parameter was configured for shows in training mode.
    Module::train(param.clone()).is_require_grad()
}
