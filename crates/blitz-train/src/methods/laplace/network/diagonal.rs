//! The diagonal Laplace approximation of a whole network.

use blitz_layers::blitz_core::BayesianModule;
use burn::data::dataloader::DataLoader;
use burn::module::Module;
use burn::tensor::Tensor;

use super::super::error::{LaplaceError, TWICE, deterministic, positive, repeats, size};
use super::super::numbers::{finite, host, normals};
use super::super::prior_precision::evidence::{best_precision, log_evidence};
use super::gradients::{gradients_of, moved};
use super::random_weights::random_weights;
use crate::module_state::{as_in_prediction, with_own_statistics};
use crate::predict::NetworkPosterior;

/// Independent normals about the weights of any trained network.
///
/// The precision of a weight is the diagonal of the empirical Fisher information, `Σ gᵢ²` over the gradients gᵢ of
/// single examples' negative log likelihoods, plus the prior precision λ. The gradients are those of single examples,
/// exactly: one forward and one backward pass for each. A parameter that needs no gradient stays as it is.
///
/// The network is as in prediction while it is fitted: Burn's dropout drops nothing, a batch norm uses its running
/// statistics and leaves them,
/// [`McDropout`](blitz_layers::McDropout) returns its input. A layer of your own that is random on an autodiff device, and has no `Param<Flag>` that
/// says otherwise, is refused as random.
#[derive(Debug, Clone)]
pub struct DiagonalLaplace<N> {
    /// The trained network.
    pub network: N,
    /// For each float parameter in the module's order its Fisher information; none if it had no gradient, and at the
    /// later places of a weight that is tied.
    fisher: Vec<Option<Vec<f64>>>,
    squared_norm: f64,
    log_likelihood: f64,
    prior_precision: f64,
}

impl<N: Module> DiagonalLaplace<N> {
    /// Reads all batches, which must be of one example each (`batch_size(1)`); `nll` gives that example's negative log
    /// likelihood, `[1]`, in nats, for instance a cross-entropy loss, by the network that it is given. The network and
    /// the data are on an autodiff device.
    ///
    /// # Errors
    ///
    /// Data that are empty, can't be read or come in batches of several examples ([`LaplaceError::NotSingle`]); a `nll`
    /// that isn't one finite number, or is another one each time; gradients that aren't finite; a network without
    /// gradients, or with posteriors; a λ that isn't positive.
    pub fn fit<B: Clone>(
        network: N,
        data: &dyn DataLoader<B>,
        nll: impl Fn(&N, B) -> Tensor<1>,
        prior_precision: f64,
    ) -> Result<Self, LaplaceError> {
        deterministic(&network)?;
        // The gradient of a weight that is tied is that of all its places.
        let predicting = as_in_prediction(&network).retie();
        // The mean mode switches off what is random in prediction too.
        let nll = |batch| predicting.with_mean(|network| nll(network, batch));
        let mut fisher: Vec<Option<Vec<f64>>> = Vec::new();
        let mut log_likelihood = 0.0;
        let mut examples = 0;
        for batch in data.iter() {
            let loss = loss_of(nll, batch?, examples)?;
            log_likelihood -= host(loss.clone())[0];
            let gradients = gradients_of(&predicting, &loss.backward(), examples)?;
            fisher.resize(gradients.len(), None);
            for (fisher, gradient) in fisher.iter_mut().zip(gradients) {
                let Some(gradient) = gradient else {
                    continue;
                };
                let sums = fisher.get_or_insert_with(|| vec![0.0; gradient.len()]);
                sums.iter_mut()
                    .zip(gradient)
                    .for_each(|(sum, g)| *sum += g * g);
            }
            examples += 1;
        }
        if examples == 0 {
            return Err(LaplaceError::Empty);
        }
        // The square of a sum over a batch is no sum of squares.
        if examples != data.num_items() {
            return Err(LaplaceError::NotSingle {
                batches: examples,
                examples: data.num_items(),
            });
        }
        if fisher.iter().all(Option::is_none) {
            return Err(LaplaceError::NoGradient);
        }
        let weights = random_weights(&network).into_iter().zip(&fisher);
        let weights = weights.filter_map(|(weight, fisher)| fisher.as_ref().and(weight));
        let squared_norm = weights.map(|weight| weight.squared_norm).sum();
        let fitted = Self {
            // What trains a clone on moves its batch norms' statistics.
            network: with_own_statistics(&network),
            fisher,
            squared_norm,
            log_likelihood,
            prior_precision: 1.0,
        };
        fitted.with_prior_precision(prior_precision)
    }

    /// The same data under another prior precision λ.
    ///
    /// # Errors
    ///
    /// If λ isn't positive.
    pub fn with_prior_precision(mut self, prior_precision: f64) -> Result<Self, LaplaceError> {
        self.prior_precision = positive("the prior precision", prior_precision)?;
        Ok(self)
    }

    /// The prior precision λ in [10⁻¹², 10¹²] of largest marginal likelihood.
    ///
    /// # Errors
    ///
    /// If the marginal likelihood grows to an end of that range.
    pub fn with_best_prior_precision(self) -> Result<Self, LaplaceError> {
        let best = best_precision(|precision| self.evidence(precision))?;
        self.with_prior_precision(best)
    }

    fn evidence(&self, precision: f64) -> f64 {
        let fisher = self.fisher.iter().flatten().flatten();
        log_evidence(self.log_likelihood, self.squared_norm, fisher, precision)
    }

    /// `ln p(data | λ)` by Laplace with this diagonal, in nats, if `nll` is a normalised negative log likelihood.
    pub fn log_marginal_likelihood(&self) -> f64 {
        self.evidence(self.prior_precision)
    }

    /// The prior precision λ.
    pub fn prior_precision(&self) -> f64 {
        self.prior_precision
    }

    /// The posterior variances of the weights, `1/(F + λ)`: for each float parameter in the module's order, row-major;
    /// none for one that stays as it is, and for the later places of a weight that is tied.
    pub fn variances(&self) -> Vec<Option<Vec<f64>>> {
        let variance = |f: &f64| 1.0 / (f + self.prior_precision);
        let parameters = self.fisher.iter();
        parameters
            .map(|fisher| fisher.as_ref().map(|f| f.iter().map(variance).collect()))
            .collect()
    }

    /// The network with weights from draw `index` of a prediction under `seed`, the same ones always.
    pub fn sample_network(&self, seed: u64, index: u64) -> N {
        let steps = self.fisher.iter().enumerate().map(|(stream, fisher)| {
            let fisher = fisher.as_ref()?;
            let normals = normals(seed, index, stream, fisher.len());
            let step = |(e, f): (f64, &f64)| e / (f + self.prior_precision).sqrt();
            Some(normals.into_iter().zip(fisher).map(step).collect())
        });
        moved(self.network.clone(), steps.collect())
    }
}

/// The negative log likelihood of example `number`, on its graph. That of the first ones is computed twice.
fn loss_of<B: Clone>(
    nll: impl Fn(B) -> Tensor<1>,
    example: B,
    number: usize,
) -> Result<Tensor<1>, LaplaceError> {
    const WHAT: &str = "the negative log likelihood";
    let again = (number < TWICE).then(|| example.clone());
    let loss = nll(example);
    size("the number of losses", 1, loss.dims()[0])?;
    let value = host(loss.clone());
    finite(&value, 1, WHAT, number)?;
    if !loss.is_tracked() {
        return Err(LaplaceError::NoGradient);
    }
    if let Some(example) = again {
        repeats(WHAT, &value, &host(nll(example)), 1, number)?;
    }
    Ok(loss)
}

impl<N: Module> NetworkPosterior<N> for DiagonalLaplace<N> {
    fn draw_network(&self, seed: u64, index: u64) -> N {
        self.sample_network(seed, index)
    }
}
