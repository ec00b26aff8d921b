//! The ways to a predictive distribution of a number: a small network, its training, and what is predicted with it.

mod net;
mod rows;
mod train;

use blitz_train::blitz_layers::moments::{ForwardMoments, Moments};
use blitz_train::laplace::{GaussianLastLayer, LastLayerNetwork};
use blitz_train::prelude::*;
use blitz_train::{
    ChainConfig, ExpectedNll, HeteroscedasticLikelihoodConfig, Ivon, IvonConfig, PredictError,
    SgldConfig, SwagConfig,
};
use burn::module::ParamGroup;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

pub use net::Net;
pub use rows::{Rows, Scales, column};
pub use train::Plan;

use net::{BayesianNet, DropoutNet, LastLayerNet};
use train::{BATCH, Batch, Model, finished, model, model_under, normals, train, train_by};

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
    /// Deterministic variational inference: the moments of each layer in the place of draws, noise that depends on the inputs.
    Dvi,
    /// A variational last layer: the hidden layer is one, the weights after it have a normal with all their covariances; both are trained by the ELBO in closed form.
    Vbll,
    /// The improved variational online Newton method.
    Ivon,
    /// Ten networks from different starts (deep ensemble).
    Ensemble,
    /// Networks of a chain of stochastic gradient Langevin dynamics.
    Sgld,
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
pub type Predict = Box<dyn Fn(&Tensor<2>) -> Result<NormalMixture, PredictError>>;

impl Method {
    /// What a rule may choose among. The strength is the weight decay of `map`, `laplace`, `vbll` (its hidden layer's) and the ensemble, β of `mfvi` and `dvi`, the temperature
    /// `N / ess` of `ivon`, the learning rate of `sgld`, the constant one of `swag`, and the share that `mc-dropout` drops.
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
    pub fn fit(self, rows: &Rows, setting: Setting, seed: u64, device: &Device) -> Predict {
        match self {
            Self::Map => mixture(vec![map(rows, setting, seed, device)]),
            Self::Ensemble => {
                let members = (0..MEMBERS as u64)
                    .map(|member| map(rows, setting, seed.wrapping_add(1000 * member), device));
                mixture(members.collect())
            }
            Self::Mfvi => MeanField {
                steps: setting.steps,
                beta: setting.strength,
                ..MeanField::default()
            }
            .fit(rows, seed, device),
            Self::Dvi => dvi(rows, setting, seed, device),
            Self::Vbll => vbll(rows, setting, seed, device),
            Self::Ivon => OnlineNewton {
                steps: setting.steps,
                temperature: setting.strength,
                ..OnlineNewton::default()
            }
            .fit(rows, seed, device),
            Self::Sgld => sgld(rows, setting, seed, device),
            Self::McDropout => bayesian(&mc_dropout(rows, setting, seed, device), seed),
            Self::Laplace => laplace(rows, setting, seed, device),
            Self::Swag => swag(rows, setting, seed, device),
        }
    }
}

/// The predictive distribution of a model that is drawn from: each draw is one network for all rows.
fn bayesian<N, L>(model: &Model<N, L>, seed: u64) -> Predict
where
    N: Network<Input = Tensor<2>, Output = Tensor<2>>,
    L: Likelihood<Output = Tensor<2>, Predictive = NormalMixture>,
{
    let predictor = PredictorConfig::new(DRAWS)
        .with_seed(seed)
        .init(&model.network, &model.likelihood);
    Box::new(move |inputs| predictor.predict(inputs.clone()))
}

fn seeded(seed: u64, device: &Device) -> Device {
    device.seed(seed);
    device.clone().autodiff()
}

/// The predictive distribution of networks that are each as likely as any other, with the noise of each.
fn mixture(models: Vec<Model<Net>>) -> Predict {
    Box::new(move |inputs| {
        let draws = models.iter().map(|model| normals(model, inputs));
        Ok(NormalMixture::try_from_draws(draws, 1)?)
    })
}

fn adam(decay: f64) -> ModuleOptimizer {
    let decay = WeightDecayConfig::new(decay as f32);
    AdamConfig::new().with_weight_decay(Some(decay)).init()
}

/// A network trained by Adam with a weight decay, its rate falling to zero.
fn by_adam<N: Network<Input = Tensor<2>, Output = Tensor<2>>>(
    net: N,
    rows: &Rows,
    steps: usize,
    decay: f64,
    seed: u64,
) -> Model<N> {
    let mut adam = adam(decay);
    let start = model(net, rows.count(), BetaSchedule::Constant(1.0), seed);
    let update = |rate, model, grads| adam.step(rate, model, grads);
    let plan = Plan::falling(steps, 0.01);
    finished(train(start, rows, plan, seed, update, |_, _| ()))
}

fn map(rows: &Rows, setting: Setting, seed: u64, device: &Device) -> Model<Net> {
    let net = Net::new(rows.features(), &seeded(seed, device));
    by_adam(net, rows, setting.steps, setting.strength, seed)
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
    pub fn fit(self, rows: &Rows, seed: u64, device: &Device) -> Predict {
        let device = seeded(seed, device);
        let net = BayesianNet::new(rows.features(), 1, self.initial_deviation, &device);
        let mut adam = FusedAdamConfig::new().init();
        let plan = Plan::falling(self.steps, self.rate);
        let start = model(net, rows.count(), warm(self.steps, self.beta), seed);
        let update = |rate, model, grads| adam.step(rate, model, grads);
        let trained = finished(train(start, rows, plan, seed, update, |_, _| ()));
        bayesian(&trained, seed)
    }
}

/// The KL's weight over so many steps. The means fit first: from the start, the KL of a wide network outweighs what few rows can tell.
fn warm(steps: usize, beta: f64) -> BetaSchedule {
    BetaSchedule::LinearWarmup {
        steps: steps as u64 / 2,
        to: beta,
    }
}

fn dvi(rows: &Rows, setting: Setting, seed: u64, device: &Device) -> Predict {
    let settings = MeanField::default();
    let device = seeded(seed, device);
    // The mean and the logarithm of the noise.
    let net = BayesianNet::new(rows.features(), 2, settings.initial_deviation, &device);
    let likelihood = HeteroscedasticLikelihoodConfig::new().init();
    let mut adam = FusedAdamConfig::new().init();
    let start = model_under(
        likelihood,
        net,
        rows.count(),
        warm(setting.steps, setting.strength),
        seed,
    );
    let plan = Plan::falling(setting.steps, settings.rate);
    let update = |rate, model, grads| adam.step(rate, model, grads);
    bayesian(&train_by_moments(start, rows, plan, seed, update), seed)
}

fn vbll(rows: &Rows, setting: Setting, seed: u64, device: &Device) -> Predict {
    let net = LastLayerNet::new(rows.features(), &seeded(seed, device));
    // What has a posterior has a prior, and no decay beside it.
    let decay = WeightDecayConfig::new(setting.strength as f32);
    let hidden = AdamConfig::new().with_weight_decay(Some(decay)).build();
    let hidden_alone = ParamGroup::from_predicate("hidden");
    let mut adam = AdamConfig::new()
        .init()
        .with_group(hidden_alone, hidden, None);
    let start = model(net, rows.count(), BetaSchedule::Constant(1.0), seed);
    let plan = Plan::falling(setting.steps, 0.01);
    let update = |rate, model, grads| adam.step(rate, model, grads);
    bayesian(&train_by_moments(start, rows, plan, seed, update), seed)
}

/// Trains by the moments of each layer in the place of draws.
fn train_by_moments<N, L>(
    start: Model<N, L>,
    rows: &Rows,
    plan: Plan,
    seed: u64,
    update: impl FnMut(f64, Model<N, L>, GradientsParams) -> Model<N, L>,
) -> Model<N, L>
where
    N: Network + ForwardMoments<Moments<2>, Output = Moments<2>>,
    L: ExpectedNll<Target = Tensor<2>>,
{
    let loss = |model: &Model<N, L>, step, batch: Batch| {
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
    pub fn fit(self, rows: &Rows, seed: u64, device: &Device) -> Predict {
        let config = IvonConfig::new(rows.count() as f64 / self.temperature)
            .with_beta_2(0.999)
            .with_weight_decay(1e-3);
        let net = config.attach(Net::new(rows.features(), &seeded(seed, device)));
        // What has no posterior is the noise.
        let mut adam = AdamConfig::new().init();
        let plan = Plan::falling(self.steps, self.rate);
        let start = model(net, rows.count(), BetaSchedule::Constant(1.0), seed);
        let update = |rate: f64, model: Model<Net>, mut grads| {
            let model = Ivon::step(rate, model, &mut grads);
            adam.step(0.3 * rate, model, grads)
        };
        let trained = finished(train(start, rows, plan, seed, update, |_, _| ()));
        bayesian(&trained, seed)
    }
}

fn mc_dropout(rows: &Rows, setting: Setting, seed: u64, device: &Device) -> Model<DropoutNet> {
    let device = seeded(seed, device);
    let net = DropoutNet::new(rows.features(), setting.strength, &device);
    let mut trained = by_adam(net, rows, setting.steps, DECAY, seed);
    trained.network.share_masks();
    trained
}

/// The last layer's posterior given the trained features, its prior precision and noise by the marginal likelihood.
fn laplace(rows: &Rows, setting: Setting, seed: u64, device: &Device) -> Predict {
    let model = map(rows, setting, seed, device);
    let noise = model.likelihood.noise_std()[0];
    let features = |inputs| model.network.features(inputs);
    let last = &model.network.output;
    let posterior = GaussianLastLayer::fit(&*rows.loader(), features, last, noise, 1.0)
        .and_then(GaussianLastLayer::with_best_prior_and_noise);
    let Ok(posterior) = posterior else {
        // Without an optimum, as when the features interpolate, what is left is the network.
        return mixture(vec![model]);
    };
    let noise = LikelihoodParam::Fixed(posterior.noise_std()[0]);
    let likelihood = GaussianLikelihoodConfig::new()
        .with_noise(noise)
        .init(device);
    let networks = LastLayerNetwork::new(model.network, posterior, |net: &mut Net, last| {
        net.output = last
    });
    let predictor = PredictorConfig::new(DRAWS)
        .with_seed(seed)
        .init_with(&networks, &likelihood);
    Box::new(move |inputs| predictor.predict(inputs.clone()))
}

fn sgld(rows: &Rows, setting: Setting, seed: u64, device: &Device) -> Predict {
    let net = Net::new(rows.features(), &seeded(seed, device));
    let mut optimizer = SgldConfig::new(rows.count()).with_seed(seed).init();
    let plan = Plan::constant(setting.steps, setting.strength);
    let half = setting.steps as u64 / 2;
    let mut chain = ChainConfig::new(half, half / DRAWS as u64)
        .with_capacity(DRAWS)
        .init();
    let start = model(net, rows.count(), BetaSchedule::Constant(1.0), seed);
    let update = |rate, model, grads| optimizer.step(rate, model, grads);
    train(start, rows, plan, seed, update, |_, model| {
        chain.push(model)
    });
    mixture(chain.into_networks().into_iter().map(finished).collect())
}

/// Epochs whose last weights SWAG takes.
const SWAG_EPOCHS: usize = 100;

fn swag(rows: &Rows, setting: Setting, seed: u64, device: &Device) -> Predict {
    let net = Net::new(rows.features(), &seeded(seed, device));
    let mut adam = adam(DECAY);
    let mut update = |rate, model, grads| adam.step(rate, model, grads);
    // Falling to the rate that stays.
    let to_the_mode = Plan {
        steps: setting.steps,
        rate: 0.01,
        last_rate: setting.strength,
    };
    let start = model(net, rows.count(), BetaSchedule::Constant(1.0), seed);
    let at_the_mode = train(start, rows, to_the_mode, seed, &mut update, |_, _| ());
    let epoch = (rows.count() / BATCH).max(1);
    let about_the_mode = Plan::constant(SWAG_EPOCHS * epoch, setting.strength);
    let mut swag = SwagConfig::new().init(&at_the_mode);
    let mut collected = Ok(());
    let last = train(
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
    mixture(match collected {
        Ok(()) => (0..DRAWS as u64)
            .map(|index| swag.sample_network(seed, index))
            .collect(),
        // The training went astray: so will the prediction, with an error of its own.
        Err(_) => vec![finished(last)],
    })
}
