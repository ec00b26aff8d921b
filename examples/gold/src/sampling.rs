//! The chains: their settings, and what they came to.

use std::path::{Path, PathBuf};
use std::time::Instant;

use blitz_mcmc::{ChainLines, Convergence, LogDensity, McmcError, McmcPosterior, NutsConfig};
use blitz_train::plot::{Plot, PlotError, RankPlot, TracePlot};
use blitz_train::prelude::*;
use burn::module::Module;
use burn::tensor::Tensor;
use clap::Args;
use example_support::number::at_least;
use example_support::{LeftOut, RunError, RunFolder, check_draws, say, written};
use serde::Serialize;

use crate::failed;

/// The largest number of chains, each with all its draws in memory.
const MOST_CHAINS: usize = 1000;

/// The settings of the chains.
#[derive(Debug, Args)]
pub struct Sampling {
    /// Chains of NUTS.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 4, value_parser = at_least::<1>)]
    pub chains: usize,

    /// Draws of a chain in which it adapts.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 500, value_parser = at_least::<10>)]
    pub warm_up: usize,

    /// Draws of a chain that are kept.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 500, value_parser = at_least::<4>)]
    pub draws: usize,

    /// Seed of the data, the chains, and the other ways.
    #[arg(
        long,
        value_name = "SEED",
        allow_negative_numbers = true,
        default_value_t = 42
    )]
    pub seed: u64,

    /// Folder in which chains are kept, for a run that may be killed and go on [default: none].
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

/// What the chains came to.
#[derive(Debug, Serialize)]
pub struct Chains {
    /// How many.
    pub chains: usize,
    /// Draws of a chain.
    pub draws: usize,
    /// Draws whose trajectory diverged.
    pub divergences: usize,
    /// The largest R-hat of the predictions.
    pub largest_r_hat: f64,
    /// The smallest effective sample size of their bulk.
    pub least_ess: f64,
}

impl Sampling {
    pub fn check(&self) -> Result<(), RunError> {
        if self.chains > MOST_CHAINS {
            let message = format!(
                "at most {MOST_CHAINS} chains are compared, got {}",
                self.chains
            );
            return Err(RunError::Setting(message));
        }
        Ok(())
    }

    /// Refuses more draws than there is memory for: their weights are kept, and what each predicts at `at`.
    pub fn check_draws<N>(&self, network: &N, at: &Tensor<2>) -> Result<(), RunError>
    where
        N: Network<Input = Tensor<2>, Output = Tensor<2>>,
    {
        let outputs = network.forward(at.clone()).shape().num_elements();
        let of_a_draw = Module::num_params(network) + outputs;
        check_draws(self.chains * self.draws, of_a_draw).map_err(RunError::Setting)
    }

    /// Samples, and predicts at `at`. The draws are written to the run's folder at once, whatever becomes of what
    /// follows.
    pub fn run<N, F, L>(
        &self,
        density: &LogDensity<N, F>,
        likelihood: &L,
        at: &Tensor<2>,
        folder: &RunFolder,
    ) -> Result<Gold<N, L::Predictive>, RunError>
    where
        N: Network<Input = Tensor<2>, Output = Tensor<2>>,
        F: Fn(&N) -> Tensor<1> + Clone + Send,
        L: Likelihood<Output = Tensor<2>>,
    {
        let start = Instant::now();
        let mut lines = ChainLines::every(100);
        let config = NutsConfig::new()
            .with_chains(self.chains)
            .with_warm_up(self.warm_up)
            .with_draws(self.draws)
            .with_seed(self.seed);
        let nuts = config.init().on_progress(|at| lines.show(at));
        let posterior = match &self.keep {
            None => nuts.run(density),
            Some(folder) => nuts.in_folder(folder).run(density),
        };
        let posterior = posterior.map_err(in_options)?;
        let draws = posterior.draws();
        let mut left_out = Vec::new();
        let write = |path: &Path| draws.write_arviz(path);
        written(folder.join("draws.json"), self.seed, &mut left_out, write);
        // As many draws as there are, up to a number whose mean is known to 3 %.
        let draws = posterior.networks().min(1_000);
        let predictor = PredictorConfig::new(draws).init_with(&posterior, likelihood);
        let predictive = predictor.predict(at.clone())?;
        let convergence = posterior
            .convergence_of(|net| net.forward(at.clone()))
            .map_err(failed)?;
        let seconds = start.elapsed().as_secs_f64();
        say!("nuts: {seconds:.1} s, predictions: {convergence}");
        Ok(Gold {
            posterior,
            predictive,
            convergence,
            seconds,
            seed: self.seed,
            left_out,
        })
    }
}

/// An error in the words of the command line, which does not have all the sampler's settings.
fn in_options(error: McmcError) -> RunError {
    match error {
        McmcError::AllDivergent => RunError::Setting(
            "every draw of every chain diverged: raise `--warm-up`, or take a wider `--prior`"
                .into(),
        ),
        other => failed(other),
    }
}

/// The posterior itself.
pub struct Gold<N, P> {
    posterior: McmcPosterior<N>,
    /// What it predicts.
    pub predictive: P,
    convergence: Convergence,
    /// Of sampling and prediction.
    pub seconds: f64,
    seed: u64,
    /// Files that can't be written.
    pub left_out: Vec<LeftOut>,
}

impl<N: Module, P> Gold<N, P> {
    /// What the chains came to.
    pub fn chains(&self) -> Chains {
        let draws = self.posterior.draws();
        Chains {
            chains: draws.chains().len(),
            draws: draws.draws(),
            divergences: draws.divergences(),
            largest_r_hat: self.convergence.largest_r_hat(),
            least_ess: self.convergence.least_ess_bulk(),
        }
    }

    /// Plots one number of each draw: what `value` says of a network.
    pub fn plot(&mut self, name: &str, value: impl Fn(&N) -> f64, folder: &RunFolder) {
        let draws = self.posterior.draws();
        let chain = |chain| {
            let networks = (0..draws.draws()).map(|draw| self.posterior.network(chain, draw));
            networks.map(|net| value(&net)).collect::<Vec<f64>>()
        };
        let chains: Vec<Vec<f64>> = (0..draws.chains().len()).map(chain).collect();
        let mut save = |file, write: &dyn Fn(&Path) -> Result<(), PlotError>| {
            written(folder.join(file), self.seed, &mut self.left_out, write);
        };
        save("trace.png", &|path| {
            TracePlot::new(name, &chains)?.save(path)
        });
        save("ranks.png", &|path| {
            RankPlot::new(name, &chains)?.save(path)
        });
    }
}
