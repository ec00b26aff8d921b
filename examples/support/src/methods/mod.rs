//! The ways to a predictive distribution of a number or a class: a small network, its training, and what is predicted
//! with it.

mod net;
mod rows;
mod task;
mod train;

use blitz_train::blitz_layers::moments::{ForwardMoments, Moments};
use blitz_train::laplace::LaplaceError;
use blitz_train::prelude::*;
use blitz_train::{
    ChainConfig, ExpectedNll, Ivon, IvonConfig, PredictError, SghmcConfig, SgldConfig, SwagConfig,
    SwagError,
};
use burn::module::ParamGroup;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use net::{Net, NoisyNet, ScaledNet, prior};
pub use rows::{Rows, Scales, Targets, column};
pub use task::{Class, NoisyNumber, Number, Task};
pub use train::Plan;

use net::{BayesianNet, DropoutNet, LastLayerNet};
use train::{BATCH, Batch, Model, finished, model, train, train_by};

/// Draws of a prediction.
const DRAWS: usize = 100;
/// The weight decay where the rule chooses none.
const DECAY: f64 = 1e-4;
/// Members of an ensemble.
const MEMBERS: usize = 10;

/// A way to a predictive distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// One network, by maximum a posteriori.
    Map,
    /// Mean-field variational inference: local reparameterization, priors with learned scales.
    Mfvi,
    /// Deterministic variational inference: the moments of each layer in the place of draws, noise that depends on the
    /// inputs.
    Dvi,
    /// A variational last layer: the hidden layer is one, the weights after it have a normal with all their
    /// covariances; both are trained by the ELBO in closed form.
    Vbll,
    /// The improved variational online Newton method.
    Ivon,
    /// Ten networks from different starts (deep ensemble).
    Ensemble,
    /// Networks of a chain of stochastic gradient Langevin dynamics.
    Sgld,
    /// The same with momentum (stochastic gradient Hamiltonian Monte Carlo).
    Sghmc,
    /// Dropout of inputs and hidden units that goes on in prediction.
    McDropout,
    /// The network of `map` with a Laplace approximation of its last layer.
    Laplace,
    /// A normal from the weights of further epochs at a constant rate (stochastic weight averaging, Gaussian).
    Swag,
}

/// What is to be chosen for a set of data, on rows that train.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// Optimizer steps.
    pub steps: usize,
    /// What regularizes: see [`Method::candidates`].
    pub strength: f64,
}

/// A predictive distribution of scaled inputs, or why there is none: a training may have gone astray.
pub type Predict<P = NormalMixture> = Box<dyn Fn(&Tensor<2>) -> Result<P, PredictError>>;

/// Why a method has no predictive distribution.
#[derive(Debug, Error)]
pub enum MethodError {
    /// There is no Laplace approximation of the trained network.
    #[error("no Laplace approximation: {0}")]
    Laplace(#[from] LaplaceError),
    /// The last layer is asked for the logarithm of a noise beside the mean, of which its posterior is no normal.
    #[error("no Laplace approximation of the last layer where the noise depends on the inputs")]
    NoiseOfInputs,
    /// The weights of an epoch make no posterior.
    #[error(transparent)]
    Swag(#[from] SwagError),
    /// What it predicts is no number.
    #[error(transparent)]
    Predict(#[from] PredictError),
}

/// What a method learns from, and the seed of all that is random in it.
#[derive(Debug)]
pub struct Data<'a, T: Task> {
    /// What it learns to predict.
    pub task: T,
    /// The rows.
    pub rows: &'a Rows<T::Targets>,
    /// Of weights, batches and draws.
    pub seed: u64,
    /// Where it trains.
    pub device: &'a Device,
}

impl Method {
    /// Its name on a command line.
    pub fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().into())
    }

    /// What a rule may choose among. The strength is the weight decay of `map`, `laplace`, `vbll` (its hidden layer's)
    /// and the ensemble, β of `mfvi` and `dvi`, the temperature `N / ess` of `ivon`, the learning rate of `sgld` and
    /// `sghmc`, the constant one of `swag`, and the share that `mc-dropout` drops.
    pub fn candidates(self) -> Vec<Setting> {
        let grid = |steps: &[usize], strengths: &[f64]| {
            let all = steps.iter().flat_map(|steps| {
                strengths.iter().map(|strength| Setting {
                    steps: *steps,
                    strength: *strength,
                })
            });
            all.collect()
        };
        match self {
            Self::Map | Self::Ensemble | Self::Laplace | Self::Vbll => {
                grid(&[500, 2_000, 8_000], &[1e-4, 1e-2])
            }
            Self::Mfvi | Self::Dvi => grid(&[2_000, 20_000], &[1.0, 0.3]),
            Self::Ivon => grid(&[2_000, 6_000], &[1.0, 0.3]),
            Self::Sgld => grid(&[20_000], &[3e-3, 1e-2, 3e-2]),
            // With a friction of a tenth it moves as far as SGLD at ten times the rate.
            Self::Sghmc => grid(&[20_000], &[3e-4, 1e-3, 3e-3]),
            Self::Swag => grid(&[2_000, 8_000], &[1e-3, 3e-3, 1e-2]),
            Self::McDropout => grid(&[2_000, 20_000], &[0.005, 0.01, 0.05, 0.1]),
        }
    }

    /// The method whose candidates a rule compares: of an ensemble a single member's.
    pub fn for_the_rule(self) -> Self {
        match self {
            Self::Ensemble => Self::Map,
            other => other,
        }
    }

    /// Trains with a setting.
    ///
    /// # Errors
    ///
    /// Fails if the trained network has no posterior of this kind, as where a Laplace approximation has no optimum: it
    /// is not the plain network then.
    pub fn fit<T: Task>(
        self,
        data: Data<'_, T>,
        setting: Setting,
    ) -> Result<Predict<T::Predictive>, MethodError> {
        Ok(match self {
            Self::Map => mixture(data, vec![map(data, setting)]),
            Self::Ensemble => {
                let members = (0..MEMBERS as u64).map(|member| {
                    let seed = data.seed.wrapping_add(1000 * member);
                    map(Data { seed, ..data }, setting)
                });
                mixture(data, members.collect())
            }
            Self::Mfvi => MeanField {
                steps: setting.steps,
                beta: setting.strength,
                ..MeanField::default()
            }
            .fit(data),
            Self::Dvi => dvi(data, setting),
            Self::Vbll => vbll(data, setting),
            Self::Ivon => OnlineNewton {
                steps: setting.steps,
                temperature: setting.strength,
                ..OnlineNewton::default()
            }
            .fit(data),
            Self::Sgld => {
                let sgld = SgldConfig::new(data.rows.count()).with_seed(data.seed);
                langevin(data, setting, sgld.init())
            }
            Self::Sghmc => {
                let sghmc = SghmcConfig::new(data.rows.count()).with_seed(data.seed);
                langevin(data, setting, sghmc.init())
            }
            Self::McDropout => bayesian(&mc_dropout(data, setting), data.seed),
            Self::Laplace => laplace(data, setting)?,
            Self::Swag => swag(data, setting)?,
        })
    }

    /// Trains without a rule: until the loss stands still, with a usual strength.
    ///
    /// # Errors
    ///
    /// Those of [`fit`](Self::fit).
    pub fn fit_by_default<T: Task>(
        self,
        data: Data<'_, T>,
    ) -> Result<Predict<T::Predictive>, MethodError> {
        let (steps, strength) = match self {
            Self::Map | Self::Ensemble | Self::Laplace => (4_000, 1e-4),
            Self::Vbll => (20_000, 1e-4),
            Self::Mfvi | Self::Dvi => (20_000, 1.0),
            // At the rate that suits hundreds of rows, weights that few points hold run away.
            Self::Ivon => {
                return Ok(OnlineNewton {
                    steps: 20_000,
                    rate: 0.01,
                    ..OnlineNewton::default()
                }
                .fit(data));
            }
            Self::Sgld => (20_000, 3e-3),
            Self::Sghmc => (20_000, 3e-4),
            Self::McDropout => (10_000, 0.05),
            Self::Swag => (4_000, 3e-3),
        };
        self.fit(data, Setting { steps, strength })
    }
}

// Whatever the targets are.
impl<T: Task> Copy for Data<'_, T> {}

impl<T: Task> Clone for Data<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Task> Data<'_, T> {
    /// The device, seeded.
    fn seeded(&self) -> Device {
        self.device.seed(self.seed);
        self.device.clone().autodiff()
    }

    fn features(&self) -> usize {
        self.rows.features()
    }

    fn model<N: Network>(&self, network: N, beta: BetaSchedule) -> Model<N, T::Likelihood> {
        let likelihood = self.task.likelihood(&network.devices()[0]);
        model(network, likelihood, self.rows.count(), beta, self.seed)
    }

    /// The network without a posterior.
    fn net(&self) -> Net {
        Net::new(self.features(), self.task.outputs(), &self.seeded())
    }
}

/// The predictive distribution of a model that is drawn from: each draw is one network for all rows.
fn bayesian<N, L>(model: &Model<N, L>, seed: u64) -> Predict<L::Predictive>
where
    N: Network<Input = Tensor<2>, Output = Tensor<2>>,
    L: Likelihood<Output = Tensor<2>>,
{
    let predictor = PredictorConfig::new(DRAWS)
        .with_seed(seed)
        .init(&model.network, &model.likelihood);
    Box::new(move |inputs| predictor.predict(inputs.clone()))
}

/// The predictive distribution of networks that are each as likely as any other.
fn mixture<T: Task>(
    data: Data<'_, T>,
    models: Vec<Model<Net, T::Likelihood>>,
) -> Predict<T::Predictive> {
    let task = data.task;
    Box::new(move |inputs| task.mixture(&models, inputs))
}

fn adam(decay: f64) -> ModuleOptimizer {
    let decay = WeightDecayConfig::new(decay as f32);
    AdamConfig::new().with_weight_decay(Some(decay)).init()
}

/// A network trained by Adam with a weight decay, its rate falling to zero.
fn by_adam<T: Task, N: Network<Input = Tensor<2>, Output = Tensor<2>>>(
    data: Data<'_, T>,
    net: N,
    steps: usize,
    decay: f64,
) -> Model<N, T::Likelihood> {
    let mut adam = adam(decay);
    let start = data.model(net, BetaSchedule::Constant(1.0));
    let update = |rate, model, grads| adam.step(rate, model, grads);
    let plan = Plan::falling(steps, 0.01);
    finished(train(start, data.rows, plan, data.seed, update, |_, _| ()))
}

fn map<T: Task>(data: Data<'_, T>, setting: Setting) -> Model<Net, T::Likelihood> {
    by_adam(data, data.net(), setting.steps, setting.strength)
}

/// The settings of mean-field variational inference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeanField {
    /// Optimizer steps.
    pub steps: usize,
    /// The weight β of the KL.
    pub beta: f64,
    /// The learning rate of the first step; it falls to zero along a cosine.
    pub rate: f64,
    /// The deviation that each weight starts with, in multiples of `1 / √inputs` of its layer.
    pub initial_deviation: f64,
}

impl Default for MeanField {
    fn default() -> Self {
        Self {
            steps: 20_000,
            beta: 1.0,
            rate: 0.01,
            initial_deviation: 0.1,
        }
    }
}

impl MeanField {
    /// Trains.
    pub fn fit<T: Task>(self, data: Data<'_, T>) -> Predict<T::Predictive> {
        let (features, outputs) = (data.features(), data.task.outputs());
        let device = data.seeded();
        let net = BayesianNet::new(features, outputs, self.initial_deviation, &device);
        let mut adam = FusedAdamConfig::new().init();
        let plan = Plan::falling(self.steps, self.rate);
        let start = data.model(net, warm(self.steps, self.beta));
        let update = |rate, model, grads| adam.step(rate, model, grads);
        let trained = finished(train(start, data.rows, plan, data.seed, update, |_, _| ()));
        bayesian(&trained, data.seed)
    }
}

/// The KL's weight over so many steps. The means fit first: from the start, the KL of a wide network outweighs what few
/// rows can tell.
fn warm(steps: usize, beta: f64) -> BetaSchedule {
    BetaSchedule::LinearWarmup {
        steps: steps as u64 / 2,
        to: beta,
    }
}

fn dvi<T: Task>(data: Data<'_, T>, setting: Setting) -> Predict<T::Predictive> {
    let settings = MeanField::default();
    let device = data.seeded();
    let (likelihood, outputs) = data.task.by_moments();
    let net = BayesianNet::new(
        data.features(),
        outputs,
        settings.initial_deviation,
        &device,
    );
    let mut adam = FusedAdamConfig::new().init();
    let beta = warm(setting.steps, setting.strength);
    let start = model(net, likelihood, data.rows.count(), beta, data.seed);
    let plan = Plan::falling(setting.steps, settings.rate);
    let update = |rate, model, grads| adam.step(rate, model, grads);
    let trained = train_by_moments(start, data.rows, plan, data.seed, update);
    bayesian(&trained, data.seed)
}

fn vbll<T: Task>(data: Data<'_, T>, setting: Setting) -> Predict<T::Predictive> {
    let net = LastLayerNet::new(data.features(), data.task.outputs(), &data.seeded());
    // What has a posterior has a prior, and no decay beside it.
    let decay = WeightDecayConfig::new(setting.strength as f32);
    let hidden = AdamConfig::new().with_weight_decay(Some(decay)).build();
    let hidden_alone = ParamGroup::from_predicate("hidden");
    let mut adam = AdamConfig::new()
        .init()
        .with_group(hidden_alone, hidden, None);
    let start = data.model(net, BetaSchedule::Constant(1.0));
    let plan = Plan::falling(setting.steps, 0.01);
    let update = |rate, model, grads| adam.step(rate, model, grads);
    let trained = train_by_moments(start, data.rows, plan, data.seed, update);
    bayesian(&trained, data.seed)
}

/// Trains by the moments of each layer in the place of draws.
fn train_by_moments<N, L>(
    start: Model<N, L>,
    rows: &Rows<L::Target>,
    plan: Plan,
    seed: u64,
    update: impl FnMut(f64, Model<N, L>, GradientsParams) -> Model<N, L>,
) -> Model<N, L>
where
    N: Network + ForwardMoments<Moments<2>, Output = Moments<2>>,
    L: ExpectedNll<Target: Targets>,
{
    let loss = |model: &Model<N, L>, step, batch: Batch<L::Target>| {
        let expected = |net: &N| {
            let output = net.forward_moments(Moments::certain(batch.inputs.clone()));
            model.likelihood.expected_nll(output, batch.targets.clone())
        };
        match model.elbo().loss_by_moments(&model.network, step, expected) {
            Ok(loss) => loss,
            Err(error) => unreachable!("every layer of the network has moments: {error}"),
        }
    };
    finished(train_by(loss, start, rows, plan, seed, update, |_, _| ()))
}

/// The settings of IVON.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OnlineNewton {
    /// Optimizer steps.
    pub steps: usize,
    /// The number of rows over `ess`.
    pub temperature: f64,
    /// The learning rate of the first step; it falls to zero along a cosine.
    pub rate: f64,
}

impl Default for OnlineNewton {
    fn default() -> Self {
        Self {
            steps: 6_000,
            temperature: 1.0,
            rate: 0.03,
        }
    }
}

impl OnlineNewton {
    /// Trains.
    pub fn fit<T: Task>(self, data: Data<'_, T>) -> Predict<T::Predictive> {
        let config = IvonConfig::new(data.rows.count() as f64 / self.temperature)
            .with_beta_2(0.999)
            .with_weight_decay(1e-3);
        let net = config.attach(data.net());
        // What has no posterior is the noise.
        let mut adam = AdamConfig::new().init();
        let plan = Plan::falling(self.steps, self.rate);
        let start = data.model(net, BetaSchedule::Constant(1.0));
        let update = |rate: f64, model, mut grads| {
            let model = Ivon::step(rate, model, &mut grads);
            adam.step(0.3 * rate, model, grads)
        };
        let trained = finished(train(start, data.rows, plan, data.seed, update, |_, _| ()));
        bayesian(&trained, data.seed)
    }
}

fn mc_dropout<T: Task>(data: Data<'_, T>, setting: Setting) -> Model<DropoutNet, T::Likelihood> {
    let (features, outputs) = (data.features(), data.task.outputs());
    let net = DropoutNet::new(features, outputs, setting.strength, &data.seeded());
    by_adam(data, net, setting.steps, DECAY)
}

/// The last layer's posterior given the trained features.
fn laplace<T: Task>(
    data: Data<'_, T>,
    setting: Setting,
) -> Result<Predict<T::Predictive>, MethodError> {
    let model = map(data, setting);
    let trained = |rows: &_| map(Data { rows, ..data }, setting);
    data.task.laplace(&model, data.rows, trained, data.seed)
}

/// Networks of the second half of a chain.
fn langevin<T: Task>(
    data: Data<'_, T>,
    setting: Setting,
    mut optimizer: ModuleOptimizer,
) -> Predict<T::Predictive> {
    let net = data.net();
    let plan = Plan::constant(setting.steps, setting.strength);
    let half = setting.steps as u64 / 2;
    let mut chain = ChainConfig::new(half, half / DRAWS as u64)
        .with_capacity(DRAWS)
        .init();
    let start = data.model(net, BetaSchedule::Constant(1.0));
    let update = |rate, model, grads| optimizer.step(rate, model, grads);
    train(start, data.rows, plan, data.seed, update, |_, model| {
        chain.push(model)
    });
    let networks = chain.into_networks().into_iter().map(finished);
    mixture(data, networks.collect())
}

/// Epochs whose last weights SWAG takes.
const SWAG_EPOCHS: usize = 100;

fn swag<T: Task>(data: Data<'_, T>, setting: Setting) -> Result<Predict<T::Predictive>, SwagError> {
    let Data { rows, seed, .. } = data;
    let net = data.net();
    let mut adam = adam(DECAY);
    let mut update = |rate, model, grads| adam.step(rate, model, grads);
    // Falling to the rate that stays.
    let to_the_mode = Plan {
        steps: setting.steps,
        rate: 0.01,
        last_rate: setting.strength,
    };
    let start = data.model(net, BetaSchedule::Constant(1.0));
    let at_the_mode = train(start, rows, to_the_mode, seed, &mut update, |_, _| ());
    let epoch = (rows.count() / BATCH).max(1);
    let about_the_mode = Plan::constant(SWAG_EPOCHS * epoch, setting.strength);
    let mut swag = SwagConfig::new().init(&at_the_mode);
    let mut collected = Ok(());
    train(
        at_the_mode,
        rows,
        about_the_mode,
        seed.wrapping_add(1),
        &mut update,
        |step, model| {
            if (step + 1) % epoch == 0 && collected.is_ok() {
                collected = swag.collect(model);
            }
        },
    );
    collected?;
    let networks = (0..DRAWS as u64).map(|index| swag.sample_network(seed, index));
    Ok(mixture(data, networks.collect()))
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn chains_with_and_without_momentum_are_of_different_networks_that_agree() {
        let device = Device::flex();
        let x: Vec<f64> = (0..40).map(|i| f64::from(i) / 20.0 - 1.0).collect();
        let y: Vec<f64> = x.iter().map(|x| 0.8 * x).collect();
        let rows = Rows {
            inputs: column(&x, &device),
            targets: column(&y, &device),
        };
        let predicted = |method: Method, strength: f64| {
            let data = Data {
                task: Number,
                rows: &rows,
                seed: 1,
                device: &device,
            };
            let steps = 2_000;
            let predict = method.fit(data, Setting { steps, strength }).unwrap();
            predict(&column(&[-0.5, 0.5], &device)).unwrap()
        };
        let (sgld, sghmc) = (
            predicted(Method::Sgld, 1e-2),
            predicted(Method::Sghmc, 1e-3),
        );
        for of in [&sgld, &sghmc] {
            assert!(of.epistemic_std().iter().all(|std| *std > 0.0));
            for (mean, y) in of.mean().iter().zip([-0.4, 0.4]) {
                assert!((mean - y).abs() < 0.2, "{mean} for {y}");
            }
        }
        assert_ne!(sgld.mean(), sghmc.mean());
    }

    #[test]
    fn what_has_no_laplace_approximation_is_no_plain_network() {
        let device = Device::flex();
        let rows = |targets: &[f64]| Rows {
            inputs: column(&[-1.0, 1.0], &device),
            targets: column(targets, &device),
        };
        let fit = |method: Method, rows: &Rows| {
            let data = Data {
                task: Number,
                rows,
                seed: 1,
                device: &device,
            };
            let setting = Setting {
                steps: 50,
                strength: 1e-4,
            };
            let predict = method.fit(data, setting)?;
            Ok::<_, MethodError>(predict(&rows.inputs)?)
        };
        assert!(fit(Method::Map, &rows(&[0.5, -0.5])).is_ok());
        // Weights that are no numbers.
        let beyond = rows(&[1e38, -1e38]);
        let error = fit(Method::Laplace, &beyond).unwrap_err();
        assert!(matches!(error, MethodError::Laplace(_)), "{error}");
        let error = fit(Method::Swag, &beyond).unwrap_err();
        assert!(matches!(error, MethodError::Swag(_)), "{error}");
    }
}
