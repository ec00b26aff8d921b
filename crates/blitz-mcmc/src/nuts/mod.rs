//! The No-U-Turn sampler, by `nuts-rs`.

mod chain;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use blitz_train::ConfigError;
use blitz_train::blitz_core::noise::{NoiseKey, layout};
use blitz_train::blitz_predict::convergence::MIN_DRAWS;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;
use nuts_rs::DiagNutsSettings;

use crate::density::{Digest, LogDensity, jitter};
use crate::draws::{ChainDraws, ChainFiles, Draws, Run};
use crate::error::McmcError;
use crate::posterior::McmcPosterior;
use crate::progress::ChainProgress;

/// The most weights that are sampled without [`allow_many_weights`](NutsConfig::allow_many_weights).
pub const MANY_WEIGHTS: usize = 10_000;

/// The shortest warm-up that has a beginning, a middle and an end.
const LEAST_WARM_UP: usize = 10;

/// Configuration of [`Nuts`].
///
/// | field | default | meaning | range |
/// |---|---|---|---|
/// | `chains` | 4 | the number of chains | ≥ 1 |
/// | `warm_up` | 1000 | the draws of a chain in which it adapts, and which are not kept | ≥ 10 |
/// | `draws` | 1000 | the draws of a chain that are kept | ≥ 4, which R̂ needs |
/// | `seed` | 0 | the seed of the chains and of their starts | |
/// | `target_acceptance` | 0.8 | the acceptance that the step size is adapted to: higher for smaller steps and fewer divergences | inside (0, 1) |
/// | `max_depth` | 10 | the most doublings of a trajectory, which has up to 2^depth − 1 steps | 1 to 20 |
/// | `jitter` | 1 | how far a chain's start lies from the network's weights at most, for each weight | finite, ≥ 0 |
/// | `threads` | all cores | the threads that the chains share; the draws don't depend on it | ≥ 1 |
/// | `allow_many_weights` | false | whether more than [`MANY_WEIGHTS`] weights are sampled | |
#[derive(Config, Debug, PartialEq)]
pub struct NutsConfig {
    /// The number of chains.
    #[config(default = 4)]
    pub chains: usize,
    /// The draws of a chain in which it adapts.
    #[config(default = 1000)]
    pub warm_up: usize,
    /// The draws of a chain that are kept.
    #[config(default = 1000)]
    pub draws: usize,
    /// The seed of the chains.
    #[config(default = 0)]
    pub seed: u64,
    /// The acceptance that the step size is adapted to.
    #[config(default = 0.8)]
    pub target_acceptance: f64,
    /// The most doublings of a trajectory.
    #[config(default = 10)]
    pub max_depth: usize,
    /// How far a chain's start lies from the network's weights at most.
    #[config(default = 1.0)]
    pub jitter: f64,
    /// The threads that the chains share; all cores if it is `None`.
    #[config(default = "None")]
    pub threads: Option<usize>,
    /// Whether more than [`MANY_WEIGHTS`] weights are sampled.
    #[config(default = false)]
    pub allow_many_weights: bool,
}

impl NutsConfig {
    /// The sampler. [`Nuts::run`] checks the settings.
    pub fn init(&self) -> Nuts<'static> {
        Nuts {
            config: self.clone(),
            progress: None,
            folder: None,
        }
    }

    fn check(&self, weights: usize) -> Result<(), McmcError> {
        let out_of_range = |field, value: &dyn fmt::Display, range| {
            let value = value.to_string();
            Err(ConfigError {
                field,
                value,
                range,
            }
            .into())
        };
        if self.chains == 0 {
            return out_of_range("chains", &self.chains, "at least 1");
        }
        if !(self.target_acceptance > 0.0 && self.target_acceptance < 1.0) {
            let range = "inside (0, 1)";
            return out_of_range("target_acceptance", &self.target_acceptance, range);
        }
        if !(1..=20).contains(&self.max_depth) {
            return out_of_range("max_depth", &self.max_depth, "between 1 and 20");
        }
        if !(self.jitter.is_finite() && self.jitter >= 0.0) {
            return out_of_range("jitter", &self.jitter, "finite and not negative");
        }
        if self.warm_up < LEAST_WARM_UP {
            let range = "at least 10: in it the step size and the mass matrix are adapted";
            return out_of_range("warm_up", &self.warm_up, range);
        }
        if self.threads == Some(0) {
            return out_of_range("threads", &0, "at least 1");
        }
        if self.draws < MIN_DRAWS {
            return Err(McmcError::TooFewDraws {
                draws: self.draws,
                needed: MIN_DRAWS,
            });
        }
        let all = self.warm_up.checked_add(self.draws);
        let numbers = self.draws.checked_mul(weights.max(1));
        let numbers = numbers.and_then(|numbers| numbers.checked_mul(self.chains));
        if all.is_none() || numbers.is_none() {
            let range = "so few that the numbers of all chains can be counted";
            return out_of_range("draws", &self.draws, range);
        }
        if weights > MANY_WEIGHTS && !self.allow_many_weights {
            return Err(McmcError::ManyWeights {
                weights,
                limit: MANY_WEIGHTS,
            });
        }
        Ok(())
    }

    fn settings(&self) -> DiagNutsSettings {
        let mut settings = DiagNutsSettings {
            num_tune: self.warm_up as u64,
            num_draws: self.draws as u64,
            maxdepth: self.max_depth as u64,
            num_chains: self.chains,
            seed: self.seed,
            ..DiagNutsSettings::default()
        };
        settings.adapt_options.step_size_settings.target_accept = self.target_acceptance;
        settings
    }

    fn threads(&self) -> usize {
        let all = || thread::available_parallelism().map_or(1, usize::from);
        self.threads.unwrap_or_else(all).min(self.chains)
    }

    /// What a chain draws from: its sampler from stream 0, its start from stream 1.
    fn key(&self, chain: usize, stream: u32) -> NoiseKey {
        NoiseKey::new(self.seed ^ layout::NUTS, chain as u64, stream)
    }

    /// What decides the draws of a chain besides its density and its start.
    fn sampler(&self) -> String {
        format!(
            "nuts-rs 0.19.1, seed {}, warm-up {}, target acceptance {:?}, depth {}",
            self.seed, self.warm_up, self.target_acceptance, self.max_depth
        )
    }
}

/// NUTS (Hoffman & Gelman 2014) over the weights of a network: `nuts-rs`, the sampler of nutpie, with a diagonal mass
/// matrix that is adapted from draws and gradients.
///
/// ```
/// use blitz_mcmc::{LogDensity, McmcError, NutsConfig};
/// use blitz_train::prelude::*;
/// # use burn::module::Module;
/// # use burn::nn::{Linear, LinearConfig};
/// # use burn::tensor::{Device, Tensor};
/// # #[derive(Module, Debug)]
/// # struct Net { layer: Linear }
/// # impl Network for Net {
/// #     type Input = Tensor<2>;
/// #     type Output = Tensor<2>;
/// #     fn forward(&self, input: Tensor<2>) -> Tensor<2> { self.layer.forward(input) }
/// # }
/// # let device = Device::flex();
/// # device.seed(1);
/// # let network = Net { layer: LinearConfig::new(1, 1).init(&device) };
/// # let likelihood = GaussianLikelihoodConfig::new().with_noise(LikelihoodParam::Fixed(0.5)).init(&device);
/// # let data = LabeledBatch {
/// #     inputs: Tensor::<2>::from_floats([[-1.0], [0.0], [1.0]], &device),
/// #     targets: Tensor::<2>::from_floats([[-2.0], [0.0], [2.0]], &device),
/// # };
/// let density = LogDensity::new(&network, &likelihood, |_| PriorConfig::normal(1.0), vec![data])?;
/// let posterior = NutsConfig::new().with_chains(2).with_warm_up(200).with_draws(200).init().run(&density)?;
/// assert!(posterior.convergence()?.largest_r_hat() < 1.05);
///
/// let predictor = PredictorConfig::new(100).init_with(&posterior, &likelihood);
/// let predictive = predictor.predict(Tensor::from_floats([[0.5]], &device)).unwrap();
/// assert!(predictive.interval(0.95)[0].contains(1.0));
/// # Ok::<(), McmcError>(())
/// ```
pub struct Nuts<'a> {
    config: NutsConfig,
    progress: Option<Progress<'a>>,
    folder: Option<PathBuf>,
}

type Progress<'a> = Box<dyn FnMut(&ChainProgress) + Send + 'a>;

impl fmt::Debug for Nuts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Nuts");
        debug
            .field("config", &self.config)
            .field("folder", &self.folder);
        debug.finish_non_exhaustive()
    }
}

impl<'a> Nuts<'a> {
    /// Calls `progress` after each draw of each chain, from one thread at a time; see
    /// [`ChainLines`](crate::ChainLines).
    #[must_use]
    pub fn on_progress<'b>(self, progress: impl FnMut(&ChainProgress) + Send + 'b) -> Nuts<'b>
    where
        'a: 'b,
    {
        Nuts {
            progress: Some(Box::new(progress)),
            ..self
        }
    }

    /// Keeps each chain in a file of `folder` as soon as it is finished.
    ///
    /// A run that was killed goes on with the chains that are missing. Those begin anew, since the state of `nuts-rs`
    /// can't be saved, and come out the same to the bit with the same build on the same machine. With another, whose
    /// log density may be rounded otherwise, the run may be taken for another one. Chains of another network, prior,
    /// likelihood, configuration or other data are refused.
    #[must_use]
    pub fn in_folder(self, folder: impl AsRef<Path>) -> Self {
        Self {
            folder: Some(folder.as_ref().into()),
            ..self
        }
    }

    /// Samples, each chain from a start of its own near the network's weights.
    ///
    /// # Errors
    ///
    /// A setting out of range, too many weights, too few draws; a density that is not finite at a start; draws of which
    /// every one diverged; a folder that can't be used.
    ///
    /// # Panics
    ///
    /// Panics if the network or the likelihood does.
    pub fn run<N, F>(self, density: &LogDensity<N, F>) -> Result<McmcPosterior<N>, McmcError>
    where
        N: Module,
        F: Fn(&N) -> Tensor<1> + Clone + Send,
    {
        self.config.check(density.len())?;
        let starts = (0..self.config.chains).map(|chain| {
            let mut rng = self.config.key(chain, 1).rng();
            let mut jittered = |weight: &f64| weight + self.config.jitter * jitter(&mut rng);
            density.start().iter().map(&mut jittered).collect()
        });
        let starts = starts.collect();
        self.sample(density, starts)
    }

    /// Samples from the weights of these networks, one for each chain: of the members of a trained ensemble, the chains
    /// explore the modes that the ensemble found (Sommer et al., *Microcanonical Langevin ensembles*, 2025, by another
    /// sampler).
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run); networks of another kind, or not one for each chain.
    ///
    /// # Panics
    ///
    /// Panics if the network or the likelihood does.
    pub fn run_from<N, F>(
        self,
        density: &LogDensity<N, F>,
        networks: &[N],
    ) -> Result<McmcPosterior<N>, McmcError>
    where
        N: Module,
        F: Fn(&N) -> Tensor<1> + Clone + Send,
    {
        self.config.check(density.len())?;
        if networks.len() != self.config.chains {
            return Err(McmcError::Starts {
                chains: self.config.chains,
                starts: networks.len(),
            });
        }
        let starts = networks.iter().map(|network| density.position_of(network));
        let starts = starts.collect::<Result<_, _>>()?;
        self.sample(density, starts)
    }

    fn sample<N, F>(
        mut self,
        density: &LogDensity<N, F>,
        mut starts: Vec<Vec<f64>>,
    ) -> Result<McmcPosterior<N>, McmcError>
    where
        N: Module,
        F: Fn(&N) -> Tensor<1> + Clone + Send,
    {
        move_from_flat_starts(density, &mut starts);
        let common = digest_at(density, density.start());
        let runs: Vec<Run> = (0..)
            .zip(&starts)
            .map(|(chain, start)| self.run_of(density, common, chain, start))
            .collect::<Result<_, _>>()?;
        let files = self.folder.as_deref().map(ChainFiles::open).transpose()?;
        let mut chains = Vec::new();
        for run in &runs {
            let finished = files
                .as_ref()
                .map(|files| files.finished(run))
                .transpose()?;
            chains.push(Mutex::new(finished.flatten()));
        }
        let progress = Mutex::new(self.progress.take());
        let work = Work {
            config: &self.config,
            runs: &runs,
            starts: &starts,
            files: files.as_ref(),
            chains: &chains,
            progress: &progress,
            next: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
        };
        thread::scope(|scope| {
            let threads = (0..self.config.threads()).map(|_| {
                // A density may be sent to a thread, and not shared with it.
                let density = density.clone();
                let work = &work;
                scope.spawn(move || work.do_chains(&density))
            });
            let threads: Vec<_> = threads.collect();
            let mut result = Ok(());
            for thread in threads {
                match thread.join() {
                    Ok(done) => result = result.and(done),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            result
        })?;
        let chains = chains.into_iter().map(|chain| {
            let chain = chain.into_inner().unwrap_or_else(PoisonError::into_inner);
            chain.unwrap_or_else(|| unreachable!("a run without an error finishes every chain"))
        });
        let draws = Draws {
            weights: density.weights().to_vec(),
            chains: chains.collect(),
            unsampled: Some(density.all_weights().unsampled),
        };
        if draws.divergences() == draws.chains.len() * draws.draws() {
            return Err(McmcError::AllDivergent);
        }
        McmcPosterior::new(density.given(), draws)
    }

    /// What makes a chain the one that it is, if it can start.
    fn run_of<N: Module, F: Fn(&N) -> Tensor<1>>(
        &self,
        density: &LogDensity<N, F>,
        common: u64,
        chain: usize,
        start: &[f64],
    ) -> Result<Run, McmcError> {
        let mut gradient = vec![0.0; density.len()];
        let value = density.evaluate(start, &mut gradient);
        if value.is_nan() {
            let what = match gradient.iter().position(|g| !g.is_finite()) {
                Some(index) => {
                    let weight = density.all_weights().tensor_at(index);
                    format!("the log density or the gradient of {}", weight.path)
                }
                None => "the log density".to_string(),
            };
            return Err(McmcError::Start { chain, what });
        }
        Ok(Run {
            weights: density.weights().to_vec(),
            sampler: self.config.sampler(),
            chains: self.config.chains,
            draws: self.config.draws,
            chain,
            density: common,
            start: digest_of(start, value, &gradient),
            unsampled: Some(density.all_weights().unsampled),
        })
    }
}

/// A digest of a position, and of the log density and its gradient there.
fn digest_at<N: Module, F: Fn(&N) -> Tensor<1>>(
    density: &LogDensity<N, F>,
    position: &[f64],
) -> u64 {
    let mut gradient = vec![0.0; density.len()];
    let value = density.evaluate(position, &mut gradient);
    digest_of(position, value, &gradient)
}

fn digest_of(position: &[f64], value: f64, gradient: &[f64]) -> u64 {
    let mut digest = Digest::default();
    let numbers = position.iter().chain([&value]).chain(gradient);
    numbers.for_each(|number| digest.add(*number));
    digest.value()
}

/// nuts-rs refuses a start where a number of the gradient is exactly zero, such as that of the bias 0 of a unit that no
/// example reaches.
fn move_from_flat_starts<N: Module, F: Fn(&N) -> Tensor<1>>(
    density: &LogDensity<N, F>,
    starts: &mut [Vec<f64>],
) {
    let mut gradient = vec![0.0; density.len()];
    for start in starts {
        density.evaluate(start, &mut gradient);
        let flat = start.iter_mut().zip(&gradient).filter(|(_, g)| **g == 0.0);
        flat.for_each(|(weight, _)| *weight += 1e-2);
    }
}

/// The chains that threads take, one after the other.
struct Work<'a, 'p> {
    config: &'a NutsConfig,
    runs: &'a [Run],
    starts: &'a [Vec<f64>],
    files: Option<&'a ChainFiles>,
    chains: &'a [Mutex<Option<ChainDraws>>],
    progress: &'a Mutex<Option<Progress<'p>>>,
    next: AtomicUsize,
    /// Whether a chain had an error or panicked, so that there is no use in the others.
    stopped: AtomicBool,
}

/// Tells the other threads of a panic.
struct StopAtPanic<'a>(&'a AtomicBool);

impl Drop for StopAtPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

impl Work<'_, '_> {
    fn do_chains<N: Module, F: Fn(&N) -> Tensor<1>>(
        &self,
        density: &LogDensity<N, F>,
    ) -> Result<(), McmcError> {
        let _stop = StopAtPanic(&self.stopped);
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(place) = self.chains.get(number) else {
                return Ok(());
            };
            let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
            if place.is_some() {
                continue;
            }
            let done = self.do_chain(density, number).inspect_err(|_| {
                self.stopped.store(true, Ordering::Relaxed);
            });
            match done? {
                Some(chain) => *place = Some(chain),
                None => return Ok(()),
            }
        }
    }

    fn do_chain<N: Module, F: Fn(&N) -> Tensor<1>>(
        &self,
        density: &LogDensity<N, F>,
        number: usize,
    ) -> Result<Option<ChainDraws>, McmcError> {
        let config = self.config;
        let mut rng = self.config.key(number, 0).rng();
        let mut divergences = 0;
        let tell = |step: &chain::Step| {
            divergences += usize::from(step.stats.diverging && !step.warming_up);
            let progress = ChainProgress {
                chain: number,
                chains: config.chains,
                done: step.done,
                total: config.warm_up + config.draws,
                warming_up: step.warming_up,
                step_size: step.stats.step_size,
                leapfrogs: step.stats.leapfrogs,
                divergences,
            };
            let mut told = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(told) = told.as_mut() {
                told(&progress);
            }
            !self.stopped.load(Ordering::Relaxed)
        };
        let start = &self.starts[number];
        let sampled = chain::sample(density, &config.settings(), number, start, &mut rng, tell);
        let sampled = sampled.map_err(|reason| McmcError::Sampler {
            chain: number,
            reason,
        })?;
        if let (Some(files), Some(chain)) = (self.files, &sampled) {
            files.write(&self.runs[number], chain)?;
        }
        Ok(sampled)
    }
}
