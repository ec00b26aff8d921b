//! A training under the prior, and the noise, that the evidence finds on the way.

use blitz_layers::blitz_core::BayesianModule;
use burn::config::Config;
use burn::data::dataloader::DataLoader;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Tensor;

use super::super::error::{LaplaceError, positive};
use super::super::numbers::host;
use super::fit::prepare;
use super::random_weights::squared_norm;
use super::{GaussNewton, NetworkLaplace, NetworkLaplaceConfig};
use crate::batch::LabeledBatch;
use crate::module_state::with_own_statistics;
use crate::network::Network;

/// Configuration of a training that chooses its prior by the marginal likelihood, on the training data alone.
///
/// | field | default | meaning |
/// |---|---|---|
/// | `epochs` | | passes over the training data |
/// | `learning_rate` | | of the optimizer |
/// | `burn_in` | 10 | the epochs before the first choice |
/// | `every` | 10 | the epochs from a choice to the next |
/// | `laplace` | [`NetworkLaplaceConfig::new`] | the approximation that has the evidence, and the λ to begin with |
#[derive(Config, Debug, PartialEq)]
pub struct EvidenceTrainingConfig {
    /// Passes over the training data.
    pub epochs: usize,
    /// The learning rate.
    pub learning_rate: f64,
    /// The epochs before the first choice.
    #[config(default = 10)]
    pub burn_in: usize,
    /// The epochs from a choice to the next.
    #[config(default = 10)]
    pub every: usize,
    /// The approximation that has the evidence, and the λ to begin with.
    #[config(default = "NetworkLaplaceConfig::new()")]
    pub laplace: NetworkLaplaceConfig,
}

/// What an epoch of such a training came to.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct EvidenceEpoch {
    /// Counted from 1.
    pub epoch: usize,
    /// The mean negative log likelihood of an example, in nats, in training.
    pub nll: f64,
    /// The λ that it was trained under.
    pub prior_precision: f64,
    /// `ln p(data | λ)` after it, in nats, under what was chosen then; none of an epoch without a choice.
    pub log_evidence: Option<f64>,
}

impl EvidenceTrainingConfig {
    /// Trains the network to the largest posterior density, `Σ nll + ½ λ ‖θ‖²`, and every so many epochs has `choose`
    /// find λ, and what else the likelihood has, for the weights of that moment:
    /// [`NetworkLaplace::with_best_prior_precision`], or [`with_best_prior_and_noise`](NetworkLaplace::with_best_prior_and_noise) for a regression (Immer, Bauer, Fortuin, Rätsch & Khan, *Scalable marginal likelihood estimation for
    /// model selection in deep learning*, 2021). A moment at which the evidence has no maximum, or one where gradients
    /// are collinear to the digits of `f64`, changes nothing. After the last epoch there is a choice in any case.
    ///
    /// The approximation of the choice with the largest evidence comes back, with its network, λ and likelihood, and
    /// all epochs. `batches` are what an epoch trains on, all examples once: shuffled, or of one size, since an example
    /// of a smaller batch weighs more in it. `examples` are the same data one at a time (`batch_size(1)`), both on the
    /// network's autodiff device. What the likelihood learns by gradients elsewhere stays as it is here.
    ///
    /// # Errors
    ///
    /// As [`NetworkLaplaceConfig::fit`]; no epochs, or 0 from a choice to the next; a learning rate that isn't
    /// positive; a loss that isn't finite; an evidence that had no maximum at the last choice and at none before.
    ///
    /// ```
    /// use blitz_train::laplace::{EvidenceTrainingConfig, NetworkLaplace};
    /// use blitz_train::prelude::*;
    /// use burn::data::dataloader::DataLoaderBuilder;
    /// use burn::data::dataset::InMemDataset;
    /// use burn::module::Module;
    /// use burn::nn::{Linear, LinearConfig};
    /// use burn::optim::AdamConfig;
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
    /// device.seed(1);
    /// let net = Net { hidden: LinearConfig::new(1, 8).init(&device), output: LinearConfig::new(8, 1).init(&device) };
    /// let rows: Vec<_> = (0..40).map(|i| i as f32 / 20.0 - 1.0).map(|x| ([x], [(3.0 * x).sin() + 0.1 * (91.0 * x).sin()])).collect();
    /// let loader = |size: usize| {
    ///     let rows = InMemDataset::new(rows.clone());
    ///     DataLoaderBuilder::new(RowBatcher).batch_size(size).set_device(device.clone()).build(rows)
    /// };
    /// let (batches, examples) = (loader(40), loader(1));
    ///
    /// let likelihood = GaussianLikelihoodConfig::new().init(&device);
    /// let (laplace, epochs) = EvidenceTrainingConfig::new(300, 0.02).with_every(50).fit(
    ///     net,
    ///     &likelihood,
    ///     AdamConfig::new().init(),
    ///     (batches.as_ref(), examples.as_ref()),
    ///     NetworkLaplace::with_best_prior_and_noise,
    ///     |at| println!("epoch {}: λ = {}", at.epoch, at.prior_precision),
    /// )?;
    /// assert_eq!(epochs.len(), 300);
    /// println!("λ = {}, σ = {:?}", laplace.prior_precision(), laplace.likelihood.noise_std());
    /// # Ok::<(), blitz_train::laplace::LaplaceError>(())
    /// ```
    pub fn fit<N, L>(
        &self,
        mut network: N,
        likelihood: &L,
        mut optimizer: ModuleOptimizer,
        (batches, examples): (&Loader<N, L>, &Loader<N, L>),
        mut choose: impl FnMut(NetworkLaplace<N, L>) -> Result<NetworkLaplace<N, L>, LaplaceError>,
        mut progress: impl FnMut(&EvidenceEpoch),
    ) -> Result<(NetworkLaplace<N, L>, Vec<EvidenceEpoch>), LaplaceError>
    where
        N: Network<Output = Tensor<2>>,
        L: GaussNewton,
    {
        self.check()?;
        let mut config = self.laplace.clone();
        prepare(&config, &network, likelihood)?;
        // An optimizer steps a weight that is tied in its first place.
        let is_tied = network.has_tied_weights();
        // The statistics of a batch norm would be those of every clone, the one that was given among them.
        network = with_own_statistics(&network).with_weights_apart().retie();
        let mut likelihood = likelihood.clone();
        let mut best: Option<NetworkLaplace<N, L>> = None;
        let mut epochs = Vec::with_capacity(self.epochs);
        for epoch in 1..=self.epochs {
            let nll;
            (network, nll) = self.pass(
                network,
                is_tied,
                &likelihood,
                &mut optimizer,
                batches,
                config.prior_precision,
            )?;
            if !nll.is_finite() {
                return Err(LaplaceError::Diverged { epoch, nll });
            }
            let mut at = EvidenceEpoch {
                epoch,
                nll,
                prior_precision: config.prior_precision,
                log_evidence: None,
            };
            let is_last = epoch == self.epochs;
            if is_last || self.has_choice(epoch) {
                let fitted =
                    config.fit_unchecked(network.clone(), &likelihood, examples, |_| {})?;
                let may_fail = !is_last || best.is_some();
                if let Some(chosen) = choice(choose(fitted), may_fail)? {
                    config.prior_precision = chosen.prior_precision();
                    likelihood = chosen.likelihood.clone();
                    let evidence = chosen.log_marginal_likelihood();
                    at.log_evidence = Some(evidence);
                    let before = best.as_ref().map(NetworkLaplace::log_marginal_likelihood);
                    if before.is_none_or(|before| evidence > before) {
                        best = Some(chosen);
                    }
                }
            }
            progress(&at);
            epochs.push(at);
        }
        let best = best.expect("the last epoch has a choice, or returns its error");
        Ok((best, epochs))
    }

    fn check(&self) -> Result<(), LaplaceError> {
        positive("the learning rate", self.learning_rate)?;
        for (what, value) in [
            ("the number of epochs", self.epochs),
            ("`every`", self.every),
        ] {
            if value == 0 {
                return Err(LaplaceError::Zero { what });
            }
        }
        Ok(())
    }

    /// Whether there is a choice after this epoch, even if it is not the last.
    fn has_choice(&self, epoch: usize) -> bool {
        let since = epoch.checked_sub(self.burn_in);
        since.is_some_and(|since| since.is_multiple_of(self.every))
    }

    /// One epoch: the network, and the mean of its loss.
    fn pass<N, L>(
        &self,
        mut network: N,
        is_tied: bool,
        likelihood: &L,
        optimizer: &mut ModuleOptimizer,
        batches: &Loader<N, L>,
        prior_precision: f64,
    ) -> Result<(N, f64), LaplaceError>
    where
        N: Network<Output = Tensor<2>>,
        L: GaussNewton,
    {
        let of_each = 0.5 * prior_precision / batches.num_items().max(1) as f64;
        let (mut sum, mut examples): (Option<Tensor<1>>, usize) = (None, 0);
        for batch in batches.iter() {
            let LabeledBatch { inputs, targets } = batch?;
            let nll = likelihood.nll(network.forward(inputs), targets);
            examples += nll.dims()[0];
            // Added up where it is computed: to read a loss waits for its step.
            let of_batch = nll.clone().detach().sum();
            sum = Some(match sum {
                Some(sum) => sum + of_batch,
                None => of_batch,
            });
            let loss = nll.mean();
            let penalty = squared_norm(&network).ok_or(LaplaceError::NoGradient)?;
            let loss = loss.clone() + penalty.mul_scalar(of_each).cast(loss.dtype());
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            network = optimizer.step(self.learning_rate, network, gradients);
            if is_tied {
                network = network.retie();
            }
        }
        match sum {
            None => Err(LaplaceError::Empty),
            Some(sum) => Ok((network, host(sum)[0] / examples as f64)),
        }
    }
}

/// What was chosen; none of a moment at which there is nothing to choose.
fn choice<C>(chosen: Result<C, LaplaceError>, may_fail: bool) -> Result<Option<C>, LaplaceError> {
    match chosen {
        Ok(chosen) => Ok(Some(chosen)),
        Err(LaplaceError::NoOptimum { .. } | LaplaceError::Singular { .. }) if may_fail => Ok(None),
        Err(error) => Err(error),
    }
}

type Loader<N, L> = dyn DataLoader<
    LabeledBatch<<N as Network>::Input, <L as crate::likelihood::Likelihood>::Target>,
>;
