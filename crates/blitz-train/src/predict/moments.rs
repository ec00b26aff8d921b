//! Predictions in one pass: the moments of a network's output, and the predictive distribution that a likelihood makes
//! of them.

use std::marker::PhantomData;
use std::sync::{Mutex, OnceLock, PoisonError};

use blitz_layers::blitz_core::{BayesianModule, KeptMoments};
use blitz_layers::moments::{Correlated, Correlations, ForwardMoments, Independent, Moments};
use blitz_predict::CategoricalMixture;
use burn::config::Config;
#[cfg(feature = "dataset")]
use burn::data::dataloader::{DataLoader, Progress};
use burn::module::Module;
use burn::tensor::{Tensor, TensorData};

#[cfg(feature = "dataset")]
use super::Predictive;
use super::blame;
use super::covariances::Propagates;
use super::link::{Link, contrast_variances, plain_probit_logits, probit_logits};
use super::quantiles::{Quantiles, check_quantiles};
#[cfg(feature = "dataset")]
use super::stream::{Predictions, predict_loader};
#[cfg(feature = "dataset")]
use crate::batch::LabeledBatch;
use crate::error::PredictError;
use crate::likelihood::{CategoricalLikelihood, Likelihood};

/// The predictive distribution of a batch in one pass: of the [moments](blitz_layers::moments) of the network's output,
/// instead of draws of its weights.
///
/// A [`MomentsPredictor`] with its defaults, which keeps the moments of the weights from batch to batch as well.
///
/// ```
/// use blitz_layers::moments::{ForwardMoments, Moments};
/// use blitz_train::prelude::*;
/// use blitz_train::{predict_draws, predict_moments};
/// use burn::module::Module;
/// use burn::tensor::{Device, Tensor};
///
/// #[derive(Module, Debug)]
/// struct Net { hidden: BayesianLinear, output: BayesianLinear }
///
/// impl Net {
///     fn forward(&self, x: Tensor<2>) -> Tensor<2> {
///         self.output.forward(self.hidden.forward(x).tanh())
///     }
/// }
///
/// impl ForwardMoments<Moments<2>> for Net {
///     type Output = Moments<2>;
///
///     fn forward_moments(&self, x: Moments<2>) -> Moments<2> {
///         self.output.forward_moments(self.hidden.forward_moments(x).tanh())
///     }
/// }
///
/// let device = Device::flex();
/// device.seed(1);
/// let config = |inputs, outputs| {
///     BayesianLinearConfig::new(inputs, outputs).with_posterior(PosteriorConfig::normal(0.1))
/// };
/// let net = Net { hidden: config(2, 30).init(&device), output: config(30, 1).init(&device) };
/// let likelihood = GaussianLikelihoodConfig::new().init(&device);
/// let x = Tensor::<2>::from_floats([[1.0, -2.0]], &device);
///
/// let once = predict_moments(&net, x.clone(), &likelihood)?;
/// let draws = likelihood.predictive(predict_draws(&net, 1000, 0, |net| net.forward(x.clone())));
/// assert!((once.mean()[0] - draws.mean()[0]).abs() < 0.2 * draws.epistemic_std()[0]);
/// assert!((once.epistemic_std()[0] / draws.epistemic_std()[0] - 1.0).abs() < 0.1);
/// # Ok::<(), blitz_train::PredictError>(())
/// ```
///
/// # Errors
///
/// Returns an error that names what of the network has no moments, or the first example whose output is not finite.
pub fn predict_moments<N, I, L>(
    network: &N,
    inputs: I,
    likelihood: &L,
) -> Result<L::Predictive, PredictError>
where
    N: Module + ForwardMoments<I, Output = Moments<2>>,
    I: Clone + 'static,
    L: Likelihood<Output = Tensor<2>>,
{
    let predictor = MomentsPredictorConfig::new().init(network, likelihood);
    predictor.predict(inputs)
}

/// Configuration of a [`MomentsPredictor`].
///
/// | field | default | meaning |
/// |---|---|---|
/// | `quantiles` | 100 | the number of values that stand for the distribution of an output |
/// | `seed` | 0 | the seed of their order |
#[derive(Config, Debug, PartialEq, Eq)]
pub struct MomentsPredictorConfig {
    /// The number of values that stand for the distribution of an output.
    #[config(default = 100)]
    pub quantiles: usize,
    /// The seed of the order of the quantiles.
    #[config(default = 0)]
    pub seed: u64,
}

impl MomentsPredictorConfig {
    /// The predictor of a network and its likelihood, off the autodiff graph.
    ///
    /// # Panics
    ///
    /// Panics with fewer than two quantiles.
    pub fn init<N: Module, L: Likelihood>(
        &self,
        network: &N,
        likelihood: &L,
    ) -> MomentsPredictor<N, L> {
        check_quantiles(self.quantiles);
        MomentsPredictor {
            network: network.clone().with_weights_apart().valid(),
            likelihood: likelihood.valid(),
            kept: Mutex::default(),
            standard: OnceLock::new(),
            config: self.clone(),
            correlations: PhantomData,
        }
    }
}

/// Predicts batches in one pass each.
///
/// An output counts as normal, with the mean and the variance that were propagated, and independent of the example's
/// other outputs. The likelihood gets `quantiles` values of it in the place of draws: normal quantiles of equal
/// probability, with that mean and variance exactly and in an order of their own for each output. Up to 128 outputs, if
/// there are twice as many values at least, are then made uncorrelated (but for very few values), so that the values
/// are no longer quite the quantiles. Means, epistemic and aleatoric deviations, entropies, intervals and scores so
/// come from the same types as those of a [`Predictor`](crate::Predictor), whose draws each cost a pass.
///
/// The moments of the weights are kept from batch to batch.
///
/// [`with_covariances`](Self::with_covariances) makes one that propagates the covariances of the units of each layer as
/// well.
#[derive(Debug)]
pub struct MomentsPredictor<N, L, C: Correlations = Independent> {
    network: N,
    likelihood: L,
    /// What passes leave behind, taken out by each.
    kept: Mutex<KeptMoments>,
    /// A network has as many outputs always.
    standard: OnceLock<Quantiles>,
    config: MomentsPredictorConfig,
    correlations: PhantomData<C>,
}

impl<N: Module, L: Likelihood> MomentsPredictor<N, L> {
    /// The same predictor with the covariances of the units of each layer and of the outputs, for inputs that are rows.
    ///
    /// What units share of the uncertainty of those before counts, where each counts as independent without. The
    /// likelihood gets values that have the covariances of the outputs. A layer of n units whose input is uncertain
    /// costs n² numbers for each row and products of n³, so that rows are propagated few at a time: as many as have 2²²
    /// covariances, or one. Up to 8192 such units.
    ///
    /// ```
    /// use blitz_layers::moments::{Correlations, ForwardMoments, Moments};
    /// use blitz_train::prelude::*;
    /// use blitz_train::{MomentsPredictorConfig, predict_draws};
    /// use burn::module::Module;
    /// use burn::nn::Initializer;
    /// use burn::tensor::{Device, Tensor};
    ///
    /// #[derive(Module, Debug)]
    /// struct Net { first: BayesianLinear, second: BayesianLinear, output: BayesianLinear }
    ///
    /// impl Net {
    ///     fn forward(&self, x: Tensor<2>) -> Tensor<2> {
    ///         self.output.forward(self.second.forward(self.first.forward(x).tanh()).tanh())
    ///     }
    /// }
    ///
    /// impl<C: Correlations> ForwardMoments<Moments<2, C>> for Net {
    ///     type Output = Moments<2, C>;
    ///
    ///     fn forward_moments(&self, x: Moments<2, C>) -> Moments<2, C> {
    ///         let x = self.second.forward_moments(self.first.forward_moments(x).tanh()).tanh();
    ///         self.output.forward_moments(x)
    ///     }
    /// }
    ///
    /// let device = Device::flex();
    /// let config = |inputs, outputs| {
    ///     let config = BayesianLinearConfig::new(inputs, outputs).with_posterior(PosteriorConfig::normal(0.1));
    ///     // Where the first units are all larger, so are the second.
    ///     config.with_initializer(Initializer::Constant { value: 0.2 })
    /// };
    /// let net = Net {
    ///     first: config(2, 30).init(&device),
    ///     second: config(30, 30).init(&device),
    ///     output: config(30, 1).init(&device),
    /// };
    /// let likelihood = GaussianLikelihoodConfig::new().init(&device);
    /// let x = Tensor::<2>::from_floats([[1.0, -2.0]], &device);
    ///
    /// let predictor = MomentsPredictorConfig::new().init(&net, &likelihood);
    /// let alone = predictor.predict(x.clone())?.epistemic_std()[0];
    /// let together = predictor.with_covariances().predict(x.clone())?.epistemic_std()[0];
    /// let draws = likelihood.predictive(predict_draws(&net, 2000, 0, |net| net.forward(x.clone())));
    /// let off = |std: f64| (std / draws.epistemic_std()[0] - 1.0).abs();
    /// assert!(off(together) < 0.1 && off(alone) > 0.3, "{together}, {alone}");
    /// # Ok::<(), blitz_train::PredictError>(())
    /// ```
    #[must_use]
    pub fn with_covariances(self) -> MomentsPredictor<N, L, Correlated> {
        MomentsPredictor {
            network: self.network,
            likelihood: self.likelihood,
            kept: self.kept,
            standard: self.standard,
            config: self.config,
            correlations: PhantomData,
        }
    }
}

impl<N: Module, L: Likelihood, C: Correlations> MomentsPredictor<N, L, C> {
    /// The moments of the network's output.
    ///
    /// # Errors
    ///
    /// Returns an error that names what of the network has no moments.
    pub fn moments<I>(&self, inputs: I) -> Result<N::Output, PredictError>
    where
        N: Propagates<I, C>,
    {
        let mut kept = std::mem::take(&mut *self.kept());
        let network = &self.network;
        let moments = network.with_kept_moments(&mut kept, |n| n.propagated(inputs));
        *self.kept() = kept;
        Ok(moments?)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, KeptMoments> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The predictive distributions of one batch.
    ///
    /// # Errors
    ///
    /// Returns an error that names what of the network has no moments, or the first example whose output is not finite.
    pub fn predict<I>(&self, inputs: I) -> Result<L::Predictive, PredictError>
    where
        N: Propagates<I, C, Output = Moments<2, C>>,
        I: Clone + 'static,
        L: Likelihood<Output = Tensor<2>>,
    {
        let moments = self.moments(inputs.clone())?;
        let standard = self.standard.get_or_init(|| {
            let [_, outputs] = moments.dims();
            Quantiles::new(self.config.quantiles, outputs, self.config.seed)
        });
        let outputs = standard.of(moments);
        let predictive = self.likelihood.try_predictive(outputs);
        predictive.map_err(|error| blame(error, &inputs))
    }

    /// The predictions of a data loader, as [`Predictor::predict_all`](crate::Predictor::predict_all).
    ///
    /// # Errors
    ///
    /// Returns an error if the loader is empty or fails, if the network has no moments, or if an output is not finite.
    #[cfg(feature = "dataset")]
    pub fn predict_all<I, T>(
        &self,
        loader: &dyn DataLoader<LabeledBatch<I, T>>,
        progress: impl FnMut(&Progress),
    ) -> Result<Predictions<L::Predictive, T>, PredictError>
    where
        N: Propagates<I, C, Output = Moments<2, C>>,
        I: Clone + 'static,
        L: Likelihood<Output = Tensor<2>>,
        L::Predictive: Predictive,
    {
        let device = self.network.devices().into_iter().next();
        predict_loader(loader, device, |inputs| self.predict(inputs), progress)
    }
}

impl<N: Module, C: Correlations> MomentsPredictor<N, CategoricalLikelihood, C> {
    /// The class probabilities of one batch in closed form, by the probit approximation, or by as many quantiles as the
    /// link has draws.
    ///
    /// A closed form gives the predictive probabilities alone. They stand for one draw, so that no part of their
    /// entropy counts as epistemic: [`predict`](Self::predict) tells the parts.
    ///
    /// # Errors
    ///
    /// As [`predict`](Self::predict).
    ///
    /// # Panics
    ///
    /// Panics if the link has fewer than two draws.
    pub fn predict_linked<I>(
        &self,
        inputs: I,
        link: Link,
    ) -> Result<CategoricalMixture, PredictError>
    where
        N: Propagates<I, C, Output = Moments<2, C>>,
        I: Clone + 'static,
    {
        if let Link::MonteCarlo { draws, .. } = link {
            check_quantiles(draws);
        }
        let moments = self.moments(inputs.clone())?;
        let classes = moments.dims()[1];
        let host = |tensor: Tensor<2>| tensor.into_data().iter::<f64>().collect::<Vec<_>>();
        let scaled = |variances: Vec<f64>, scale: fn(&[f64], &[f64]) -> Vec<f64>| {
            let means = host(moments.mean.clone());
            let rows = means.chunks(classes).zip(variances.chunks(classes));
            vec![
                rows.flat_map(|(means, variances)| scale(means, variances))
                    .collect(),
            ]
        };
        let of_logits = |logits| {
            CategoricalMixture::try_from_logits(logits, classes).map_err(PredictError::from)
        };
        let predictive = match link {
            Link::Probit => of_logits(scaled(contrasts(&moments), probit_logits)),
            Link::PlainProbit => of_logits(scaled(host(moments.variance()), plain_probit_logits)),
            Link::MonteCarlo { draws, seed } => {
                let outputs = Quantiles::new(draws, classes, seed).of(moments);
                self.likelihood.try_predictive(outputs)
            }
        };
        predictive.map_err(|error| blame(error, &inputs))
    }
}

/// The variance of each logit less the mean of the others: what all have in common is nothing to a softmax.
fn contrasts<C: Correlations>(moments: &Moments<2, C>) -> Vec<f64> {
    let [_, classes] = moments.dims();
    let host = |data: TensorData| data.iter::<f64>().collect::<Vec<_>>();
    match moments.covariance() {
        Some(covariance) => {
            let covariances = host(covariance.into_data());
            let rows = covariances.chunks(classes * classes);
            rows.flat_map(|row| contrast_variances(row, classes))
                .collect()
        }
        None => {
            let variances = host(moments.variance().into_data());
            let rows = variances.chunks(classes);
            rows.flat_map(independent_contrast_variances).collect()
        }
    }
}

/// Of independent logits.
fn independent_contrast_variances(variances: &[f64]) -> Vec<f64> {
    let total: f64 = variances.iter().sum();
    let others = (variances.len() as f64 - 1.0).max(1.0);
    let contrast = |v: &f64| v + (total - v) / (others * others);
    variances.iter().map(contrast).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrasts_of_equal_variances_are_those_of_independent_logits() {
        // v (1 + 1/(C − 1)).
        let contrasts = independent_contrast_variances(&[2.0; 5]);
        assert!(
            contrasts.iter().all(|c| (c - 2.5).abs() < 1e-12),
            "{contrasts:?}"
        );
        // Of two classes that of the difference.
        assert_eq!(independent_contrast_variances(&[1.0, 3.0]), [4.0, 4.0]);
        // As of a covariance without any.
        let diagonal = contrast_variances(&[1.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 0.5], 3);
        let pairs = diagonal
            .into_iter()
            .zip(independent_contrast_variances(&[1.0, 3.0, 0.5]));
        assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-12));
    }
}
