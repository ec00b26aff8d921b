//! Likelihoods: the distribution `p(y | f(x))` of the data given a network's output.

mod bernoulli;
mod categorical;
mod check;
mod count;
mod evaluation;
mod expected;
mod exposure;
mod gaussian;
mod heteroscedastic;
mod laplace;
mod loss_type;
mod negative_binomial;
mod param;
mod poisson;
mod scored;
mod special;
mod student_t;

pub use bernoulli::{BernoulliLikelihood, BernoulliLikelihoodConfig};
pub use categorical::{
    CategoricalLikelihood, CategoricalLikelihoodConfig, ClassificationEvaluation,
};
#[cfg(feature = "train")]
pub use check::check_targets;
pub use count::PointEvaluation;
pub use evaluation::RegressionEvaluation;
pub use expected::ExpectedNll;
pub use exposure::{Exposed, WithExposure};
pub use gaussian::{GaussianLikelihood, GaussianLikelihoodConfig};
pub use heteroscedastic::{HeteroscedasticLikelihood, HeteroscedasticLikelihoodConfig};
pub use laplace::{LaplaceLikelihood, LaplaceLikelihoodConfig};
pub use negative_binomial::{NegativeBinomialLikelihood, NegativeBinomialLikelihoodConfig};
pub use param::LikelihoodParam;
pub use poisson::{PoissonLikelihood, PoissonLikelihoodConfig};
pub use scored::LazyPredictive;
pub use student_t::{StudentTLikelihood, StudentTLikelihoodConfig};

use blitz_layers::blitz_core::{ConstantError, Constants};
use burn::module::{Module, ModuleDisplay};
use burn::tensor::Tensor;

use crate::error::{PredictError, TargetError};

/// A likelihood. Its parameters, a learned noise for instance, are ordinary Burn parameters.
///
/// One of your own needs a density for training, and for prediction a
/// [`Distribution`](crate::distribution::Distribution), which may be one of those there are. Log-normal targets:
///
/// ```
/// use blitz_train::prelude::*;
/// use blitz_train::distribution::Normal;
/// use blitz_train::{Likelihood, Mixture, PredictError};
/// use burn::module::Module;
/// use burn::tensor::{Device, Tensor};
///
/// /// `ln y` is normal with known deviation around the network's output; predictions are of `ln y`.
/// #[derive(Module, Debug)]
/// struct LogNormalLikelihood {
///     std: f64,
/// }
///
/// impl Likelihood for LogNormalLikelihood {
///     type Output = Tensor<2>;
///     type Target = Tensor<2>;
///     type Evaluation = (); // no metrics but the loss, its NLL and KL
///     type Predictive = Mixture<Normal>;
///
///     fn nll(&self, output: Tensor<2>, target: Tensor<2>) -> Tensor<1> {
///         let constant = self.std.ln() + 0.5 * std::f64::consts::TAU.ln();
///         let log = target.log();
///         let z = (log.clone() - output).mul_scalar(self.std.recip());
///         (z.square().mul_scalar(0.5) + log + constant).sum_dim(1).squeeze_dim(1)
///     }
///
///     fn evaluate(&self, _outputs: Vec<Tensor<2>>, _target: Tensor<2>) {}
///
///     fn try_predictive(&self, outputs: Vec<Tensor<2>>) -> Result<Mixture<Normal>, PredictError> {
///         let draw = |output: Tensor<2>| {
///             let means = output.into_data().iter::<f64>().collect::<Vec<_>>();
///             means.into_iter().map(|mean| Normal { mean, std: self.std }).collect()
///         };
///         Ok(Mixture::try_from_draws(outputs.into_iter().map(draw), 1)?)
///     }
/// }
///
/// let device = Device::flex();
/// let likelihood = LogNormalLikelihood { std: 0.5 };
/// let output = Tensor::<2>::from_floats([[1.0]], &device);
/// let nll = likelihood.nll(output.clone(), Tensor::from_floats([[2.0]], &device)).into_scalar::<f32>();
/// // -scipy.stats.lognorm.logpdf(2, 0.5, scale=e)
/// assert!((nll - 1.107_256).abs() < 1e-5, "{nll}");
/// assert_eq!(likelihood.predictive(vec![output]).mean(), [1.0]);
/// ```
pub trait Likelihood: Module + ModuleDisplay + Sync + 'static {
    /// What the network returns for a batch.
    type Output: Clone + Send + 'static;
    /// What was observed for a batch.
    type Target: Clone + Send + 'static;
    /// What the metrics of a training are computed from; see [`evaluate`](Self::evaluate).
    type Evaluation: Evaluation;
    /// The predictive distribution of a batch.
    type Predictive;

    /// What a training minimizes, for each example in nats, of shape `[batch]`: `−ln p(target | output)`, with what
    /// belongs to the training alone, such as label smoothing or weights of the classes
    /// ([`predictive_likelihood`](Self::predictive_likelihood)).
    ///
    /// The likelihoods of this crate compute it in `f64` if the output is of it, else in `f32`, whatever the types of
    /// targets and parameters. Half precision has too few digits for a loss.
    ///
    /// Does not read the targets back from their device, where that would wait for all that is under way. An example
    /// whose target has no meaning gets NaN instead of a number; [`check_target`](Self::check_target) says why.
    fn nll(&self, output: Self::Output, target: Self::Target) -> Tensor<1>;

    /// What the metrics need to know of a batch. `outputs` are those of the draws that its loss was computed with, one
    /// or more; they may be on the autodiff graph.
    fn evaluate(&self, outputs: Vec<Self::Output>, target: Self::Target) -> Self::Evaluation;

    /// The predictive distribution: the equal mixture over the outputs of one or more draws.
    ///
    /// # Errors
    ///
    /// Returns an error if an output is not finite, or has another shape than the likelihood's.
    ///
    /// # Panics
    ///
    /// Panics without draws.
    fn try_predictive(&self, outputs: Vec<Self::Output>) -> Result<Self::Predictive, PredictError>;

    /// [`try_predictive`](Self::try_predictive) of outputs that are finite and of the likelihood's shape.
    ///
    /// # Panics
    ///
    /// Panics without draws, and if an output is not finite or has another shape.
    fn predictive(&self, outputs: Vec<Self::Output>) -> Self::Predictive {
        match self.try_predictive(outputs) {
            Ok(predictive) => predictive,
            Err(error) => panic!("{error}"),
        }
    }

    /// The likelihood whose [`nll`](Self::nll) is that of what it [predicts](Self::predictive), without what belongs to
    /// the training alone, such as label smoothing or weights of the classes. The default, `None`, is itself.
    ///
    /// The dashboard's NLL is by this one, and the loss is by [`nll`](Self::nll).
    fn predictive_likelihood(&self) -> Option<Self> {
        None
    }

    /// Whether the likelihood gives every target of a batch a meaning: labels in range, counts that are whole numbers,
    /// nothing NaN. Reads them from their device, so call it on a user's data once, before the training;
    /// [`check_targets`] does for a whole data loader.
    ///
    /// # Errors
    ///
    /// Returns an error that names the first target out of range.
    fn check_target(&self, _target: &Self::Target) -> Result<(), TargetError> {
        Ok(())
    }

    /// The numbers that it is made of and that do not train, such as a least deviation. An
    /// [`ElboModel`](crate::ElboModel) saves them, and loading its record restores them. The default, `None`, leaves
    /// them out.
    ///
    /// How many there are must depend on the type alone.
    fn constants(&self) -> Option<Constants> {
        None
    }

    /// Takes the constants of a record: as many, in the same order, as [`constants`](Self::constants) returns.
    ///
    /// # Errors
    ///
    /// Returns an error if one is out of its range, and leaves the likelihood as it was. The record is then refused.
    fn set_constants(&mut self, values: &[f64]) -> Result<(), ConstantError> {
        let _ = values;
        Ok(())
    }
}

/// What a training hands to its metrics, besides the loss.
pub trait Evaluation: Send + 'static {
    /// The same values off the autodiff graph, so that metrics don't keep it alive.
    #[must_use]
    fn without_autodiff(self) -> Self;
}

/// For a likelihood that has no metrics of its own.
impl Evaluation for () {
    fn without_autodiff(self) -> Self {}
}
