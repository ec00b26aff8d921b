//! The Laplace approximation of all weights of a network that train, or of those that are left to.

mod block;
mod curvature;
mod diagonal;
mod evidence_training;
mod fit;
mod gauss_newton;
mod gradients;
mod linearised;
mod random_weights;

pub use diagonal::DiagonalLaplace;
pub use evidence_training::{EvidenceEpoch, EvidenceTrainingConfig};
pub use gauss_newton::GaussNewton;
pub use linearised::NormalOutput;

use blitz_layers::blitz_core::fields::changed;
use blitz_layers::blitz_core::noise::density::HALF_LOG_TWO_PI;
use burn::config::Config;
use burn::data::dataloader::{DataLoader, Progress};
use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::error::{LaplaceError, positive};
use super::numbers::normals;
use super::prior_precision::evidence::{best_precision, fixed_point, log_evidence};
use super::spectrum::check_invertible;
use crate::batch::LabeledBatch;
use crate::likelihood::{CategoricalLikelihood, GaussianLikelihood};
use crate::module_state::with_own_statistics;
use crate::network::Network;
use crate::predict::NetworkPosterior;
use curvature::WeightCurvature;
use gradients::moved;

/// What the covariance of a network's weights keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum WeightCovariance {
    /// All of it, over at most [`MAX_JOINT_PARAMETERS`](super::MAX_JOINT_PARAMETERS) weights.
    Joint,
    /// A Kronecker product for each tensor of weights. With D the gradient of one output of one example, a matrix with
    /// the tensor's first axis for its rows, it is `Σ D Dᵀ ⊗ Σ Dᵀ D / Σ ‖D‖²`: a first step towards the nearest
    /// Kronecker product, with the trace of what it stands for (Gupta et al. 2018; Morwani et al. 2024). Of a dense
    /// layer it is the KFAC of Martens & Grosse (2015) wherever that is exact: where a layer's inputs are independent
    /// of the gradients of its outputs. It needs the gradients of the weights and nothing else, so that it goes with
    /// any layer, sequences, kernels, embeddings and adapters alike. A vector of weights has its whole matrix. A side
    /// of more than 2,048 has a diagonal factor.
    Kronecker,
    /// Variances alone.
    Diagonal,
}

/// What the curvature of the loss is computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum LossCurvature {
    /// The generalised Gauss–Newton matrix `Σ Jᵀ Λ J` of the outputs' gradients J and the Hessians Λ of the likelihood
    /// by the outputs: that of a linearised network. A pass forward and back for each output of each example.
    GaussNewton,
    /// The same without bias from `draws` random sums of the outputs for each example, each output weighted by its
    /// Hessian and a sign of its own: a pass forward and back for each draw, whatever the number of outputs. With as
    /// many draws as outputs it is [`GaussNewton`](Self::GaussNewton).
    SampledGaussNewton {
        /// The sums of an example.
        draws: usize,
        /// What the signs are drawn by.
        seed: u64,
    },
    /// The empirical Fisher information `Σ g gᵀ` of the gradients g of the examples' losses: one pass forward and back
    /// for each example.
    EmpiricalFisher,
}

/// Configuration of a [`NetworkLaplace`].
///
/// | field | default | meaning |
/// |---|---|---|
/// | `covariance` | `Kronecker` | what the covariance keeps |
/// | `curvature` | `GaussNewton` | what the curvature is computed from |
/// | `prior_precision` | 1 | the precision λ of the prior `N(0, 1/λ)` of each weight |
#[derive(Config, Debug, PartialEq)]
pub struct NetworkLaplaceConfig {
    /// What the covariance keeps.
    #[config(default = "WeightCovariance::Kronecker")]
    pub covariance: WeightCovariance,
    /// What the curvature is computed from.
    #[config(default = "LossCurvature::GaussNewton")]
    pub curvature: LossCurvature,
    /// The precision λ of the prior.
    #[config(default = 1.0)]
    pub prior_precision: f64,
}

impl NetworkLaplaceConfig {
    /// Reads all batches, which must be of one example each (`batch_size(1)`), from an autodiff device, on which the
    /// network is as well; `progress` hears of each.
    ///
    /// The weights are those that train. The others stay as they are: freeze what shall not be random, by Burn's
    /// `freeze_group` for a subnetwork; behind Burn's LoRA the adapters are what trains. Layers are as in prediction.
    ///
    /// # Errors
    ///
    /// Data that are empty, not finite, of another shape or can't be read; targets that the likelihood gives no
    /// meaning; outputs that are others each time; a likelihood that weighs its classes; a network without gradients,
    /// with gradients that aren't finite, or with posteriors; a λ too small for collinear gradients; more than
    /// [`MAX_JOINT_PARAMETERS`](super::MAX_JOINT_PARAMETERS) weights with
    /// [`WeightCovariance::Joint`]; no draws for [`LossCurvature::SampledGaussNewton`]; a λ that isn't positive.
    pub fn fit<N, L>(
        &self,
        network: N,
        likelihood: &L,
        data: &dyn DataLoader<LabeledBatch<N::Input, L::Target>>,
        progress: impl FnMut(&Progress),
    ) -> Result<NetworkLaplace<N, L>, LaplaceError>
    where
        N: Network<Output = Tensor<2>>,
        L: GaussNewton,
    {
        let fitted = self.fit_unchecked(network, likelihood, data, progress)?;
        fitted.with_prior_precision(self.prior_precision)
    }

    /// The same with a λ that may be too small to predict with, for a search that finds another.
    fn fit_unchecked<N, L>(
        &self,
        network: N,
        likelihood: &L,
        data: &dyn DataLoader<LabeledBatch<N::Input, L::Target>>,
        progress: impl FnMut(&Progress),
    ) -> Result<NetworkLaplace<N, L>, LaplaceError>
    where
        N: Network<Output = Tensor<2>>,
        L: GaussNewton,
    {
        let fitted = fit::fit(self, &network, likelihood, data, progress)?;
        Ok(NetworkLaplace {
            // What trains a clone on moves its batch norms' statistics.
            network: with_own_statistics(&network),
            likelihood: likelihood.clone(),
            eigenvalues: fitted.curvature.eigenvalues(),
            curvature: fitted.curvature,
            squared_norm: fitted.squared_norm,
            log_likelihood: fitted.log_likelihood,
            examples: fitted.examples,
            loss_curvature: self.curvature,
            prior_precision: self.prior_precision,
        })
    }
}

/// A normal about the weights of any trained network, or of the part of it that trains.
///
/// Its precision is the curvature of the negative log likelihood at the trained weights, in the structure of a
/// [`WeightCovariance`], plus λ I. Two ways lead to predictions:
///
/// - [`outputs`](Self::outputs) and [`predict`](Self::predict) linearise the network in its weights, whose posterior
///   the Gauss–Newton matrix is (Immer, Korzepa & Bauer 2021): recommended;
/// - draws of whole networks, which a [`Predictor`](crate::Predictor) takes.
///
/// ```
/// use blitz_train::laplace::NetworkLaplaceConfig;
/// use blitz_train::prelude::*;
/// use burn::data::dataloader::DataLoaderBuilder;
/// use burn::data::dataset::InMemDataset;
/// use burn::module::Module;
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::{Device, Tensor, activation::tanh};
///
/// #[derive(Module, Debug)]
/// struct Net { hidden: Linear, output: Linear }
///
/// impl Network for Net {
///     type Input = Tensor<2>;
///     type Output = Tensor<2>;
///
///     fn forward(&self, x: Tensor<2>) -> Tensor<2> {
///         self.output.forward(tanh(self.hidden.forward(x)))
///     }
/// }
///
/// let device = Device::flex().autodiff();
/// // As training leaves it.
/// let net = Net { hidden: LinearConfig::new(1, 8).init(&device), output: LinearConfig::new(8, 1).init(&device) };
/// let likelihood = GaussianLikelihoodConfig::new().with_noise(LikelihoodParam::Fixed(0.1)).init(&device);
/// let rows: Vec<_> = (0..40).map(|i| i as f32 / 20.0 - 1.0).map(|x| ([x], [(3.0 * x).sin()])).collect();
/// let train = DataLoaderBuilder::new(RowBatcher).batch_size(1).set_device(device.clone()).build(InMemDataset::new(rows));
///
/// let laplace = NetworkLaplaceConfig::new().fit(net, &likelihood, train.as_ref(), |_| {})?;
/// let laplace = laplace.with_best_prior_precision()?;
/// println!("λ = {}, ln evidence {}", laplace.prior_precision(), laplace.log_marginal_likelihood());
///
/// let predictive = laplace.predict(Tensor::from_floats([[0.0], [5.0]], &device))?;
/// // Away from the data the network is less sure.
/// assert!(predictive.epistemic_std()[1] > predictive.epistemic_std()[0]);
/// # Ok::<(), blitz_train::laplace::LaplaceError>(())
/// ```
#[derive(Debug, Clone)]
pub struct NetworkLaplace<N, L> {
    /// The trained network.
    pub network: N,
    /// The likelihood.
    pub likelihood: L,
    curvature: WeightCurvature,
    /// Of the curvature, in the order of its coordinates.
    eigenvalues: Vec<f64>,
    squared_norm: f64,
    log_likelihood: f64,
    examples: usize,
    loss_curvature: LossCurvature,
    prior_precision: f64,
}

impl<N: Module, L> NetworkLaplace<N, L> {
    /// The same data under another prior precision λ.
    ///
    /// # Errors
    ///
    /// If λ isn't positive, or so small that the posterior precision has no digits.
    pub fn with_prior_precision(mut self, prior_precision: f64) -> Result<Self, LaplaceError> {
        self.prior_precision = positive("the prior precision", prior_precision)?;
        self.check(prior_precision)?;
        Ok(self)
    }

    fn check(&self, precision: f64) -> Result<(), LaplaceError> {
        // Each block by itself: its eigenvalues are good to the digits of the largest.
        let mut start = 0;
        for (len, side) in self.curvature.blocks() {
            let values = &self.eigenvalues[start..start + len];
            start += len;
            // Variances alone are exact.
            if side > 1 && len > 0 {
                check_invertible(values.iter().map(|e| e + precision), side)?;
            }
        }
        Ok(())
    }

    /// The prior precision λ in [10⁻¹², 10¹²] of largest marginal likelihood.
    ///
    /// For a classifier that is often a λ far too small, as with a [last
    /// layer](super::SoftmaxLastLayer::with_best_prior_precision):
    /// [`with_held_out_prior_precision`](Self::with_held_out_prior_precision) has held-out examples choose it.
    ///
    /// # Errors
    ///
    /// If the marginal likelihood grows to an end of that range.
    pub fn with_best_prior_precision(self) -> Result<Self, LaplaceError> {
        let best = best_precision(|precision| self.evidence(precision))?;
        self.with_prior_precision(best)
    }

    fn evidence(&self, precision: f64) -> f64 {
        let values = self.eigenvalues.iter();
        log_evidence(self.log_likelihood, self.squared_norm, values, precision)
    }

    /// `ln p(data | λ)` by Laplace, in nats, where the likelihood is normalised: not of smoothed labels.
    pub fn log_marginal_likelihood(&self) -> f64 {
        self.evidence(self.prior_precision)
    }

    /// The prior precision λ.
    pub fn prior_precision(&self) -> f64 {
        self.prior_precision
    }

    /// The number of weights that the posterior is about.
    pub fn num_weights(&self) -> usize {
        self.eigenvalues.len()
    }

    /// The network with weights from draw `index` of a prediction under `seed`, the same ones always.
    ///
    /// The weights are drawn, not the linearised network's outputs: where the network bends within the posterior's
    /// width, its draws are worse than the trained weights.
    pub fn sample_network(&self, seed: u64, index: u64) -> N {
        let normals: Vec<f64> = self
            .curvature
            .tensors()
            .flat_map(|(tensor, len)| normals(seed, index, tensor, len))
            .collect();
        // By the symmetric root, which does not depend on the signs of the eigenvectors or on their choice among equal
        // eigenvalues.
        let mut c = self.curvature.coordinates(&normals);
        for (c, e) in c.iter_mut().zip(&self.eigenvalues) {
            *c /= (e + self.prior_precision).sqrt();
        }
        let step = self.curvature.vector(&c);
        moved(self.network.clone(), self.curvature.by_tensor(step))
    }
}

impl<N: Module> NetworkLaplace<N, GaussianLikelihood> {
    /// λ and the noise of largest marginal likelihood, by MacKay's fixed point: `λ = γ/|θ|²`, and all σ_k² in one
    /// ratio, the one that makes `Σ (y − f)²/σ_k² = N·outputs − γ` with γ the number of well-determined weights. The
    /// network's weights stay as they are, and so do the proportions of the noises, as training learns them.
    ///
    /// # Errors
    ///
    /// If there is no such point: noise that vanishes because the network interpolates, or weights that do.
    pub fn with_best_prior_and_noise(mut self) -> Result<Self, LaplaceError> {
        let stds = self.likelihood.noise_std();
        let observations = (self.examples * stds.len()) as f64;
        let normalizers = stds.iter().map(|std| std.ln() + HALF_LOG_TWO_PI);
        let normalizer = self.examples as f64 * normalizers.sum::<f64>();
        let squares = -2.0 * (self.log_likelihood + normalizer);
        // A gradient of the loss has the variance in it once, and the empirical information a product of two.
        let power = match self.loss_curvature {
            LossCurvature::EmpiricalFisher => 2,
            _ => 1,
        };
        let start = (vec![1.0], self.prior_precision);
        let (factors, precision) = fixed_point(start.0, start.1, |factors, precision| {
            let values = self.eigenvalues.iter().map(|e| e / factors[0].powi(power));
            let determined: f64 = values.map(|e| e / (e + precision)).sum();
            let left = observations - f64::from(power) * determined;
            let factor = squares / left;
            // Half of the way, in the logarithm: a whole step of the square would go back and forth.
            let factor = match power {
                1 => factor,
                _ => (factor * factors[0]).sqrt(),
            };
            (vec![factor], determined / self.squared_norm)
        })?;
        let factor = factors[0];
        self.likelihood.log_std = changed(self.likelihood.log_std, |log_std| {
            log_std.add_scalar(0.5 * factor.ln())
        });
        self.eigenvalues
            .iter_mut()
            .for_each(|e| *e /= factor.powi(power));
        self.log_likelihood = -normalizer - 0.5 * (observations * factor.ln() + squares / factor);
        self.with_prior_precision(precision)
    }
}

impl<N: Network<Output = Tensor<2>>> NetworkLaplace<N, CategoricalLikelihood> {
    /// The prior precision λ in [10⁻¹², 10¹²] under which examples that the network was not trained on are predicted
    /// best, by
    /// [`predict_linked`](Self::predict_linked) with [`Link::Probit`](super::Link::Probit); and how well, beside the trained weights. Batches are of one example each, as in
    /// [`fit`](NetworkLaplaceConfig::fit). The data are read twice.
    ///
    /// # Errors
    ///
    /// As [`fit`](NetworkLaplaceConfig::fit) for these data.
    pub fn with_held_out_prior_precision(
        self,
        data: &dyn DataLoader<LabeledBatch<N::Input, Tensor<1, burn::tensor::Int>>>,
    ) -> Result<(Self, super::HeldOut), LaplaceError> {
        let held_out = self.held_out(data)?;
        let found = self.with_prior_precision(held_out.prior_precision)?;
        Ok((found, held_out))
    }
}

impl<N: Module, L: Send + Sync> NetworkPosterior<N> for NetworkLaplace<N, L> {
    fn draw_network(&self, seed: u64, index: u64) -> N {
        self.sample_network(seed, index)
    }
}
