//! The ways to a predictive distribution, each with the few settings that the rule chooses among.

use blitz_train::laplace::GaussianLastLayer;
use blitz_train::prelude::*;
use blitz_train::{ChainConfig, SgldConfig};
use burn::optim::AdamConfig;
use burn::tensor::{Device, Tensor};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::net::{BayesianNet, DropoutNet, HIDDEN, Net};
use crate::rows::Rows;
use crate::train::{Model, Plan, column, finished, model, normals, train};

/// Draws of a prediction.
const DRAWS: usize = 100;
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
}

/// What the rule chooses for a split, on rows that train.
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
    /// What the rule chooses among. The strength is the weight decay of `map` and the ensemble, β of `mfvi`, the temperature
    /// `N / ess` of `ivon`, the learning rate of `sgld`, and the share that `mc-dropout` drops.
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
            Self::Map | Self::Ensemble | Self::Laplace => grid(&[500, 2_000, 8_000], &[1e-4, 1e-2]),
            Self::Mfvi => grid(&[2_000, 20_000], &[1.0, 0.3]),
            Self::Ivon => grid(&[2_000, 6_000], &[1.0, 0.3]),
            Self::Sgld => grid(&[20_000], &[3e-3, 1e-2, 3e-2]),
            Self::McDropout => grid(&[2_000, 20_000], &[0.005, 0.02, 0.05]),
        }
    }

    /// The method whose candidates the rule compares: of an ensemble a single member's.
    pub fn for_the_rule(self) -> Self {
        match self {
            Self::Ensemble => Self::Map,
            other => other,
        }
    }

    /// Trains with a setting.
    pub fn fit(self, rows: &Rows, setting: Setting, seed: u64, device: &Device) -> Predict {
        match self {
            Self::Map => {
                let model = map(rows, setting, seed, device);
                Box::new(move |inputs| NormalMixture::try_from_draws([normals(&model, inputs)], 1))
            }
            Self::Ensemble => {
                let members: Vec<_> = (0..MEMBERS as u64)
                    .map(|member| map(rows, setting, seed + 1000 * member, device))
                    .collect();
                Box::new(move |inputs| {
                    let draws = members.iter().map(|member| normals(member, inputs));
                    NormalMixture::try_from_draws(draws, 1)
                })
            }
            Self::Mfvi => bayesian(mfvi(rows, setting, seed, device), seed),
            Self::Ivon => bayesian(ivon(rows, setting, seed, device), seed),
            Self::Sgld => sgld(rows, setting, seed, device),
            Self::McDropout => bayesian(mc_dropout(rows, setting, seed, device), seed),
            Self::Laplace => laplace(rows, setting, seed, device),
        }
    }
}

/// The predictive distribution of a model that is drawn from.
fn bayesian<N: Network<Input = Tensor<2>, Output = Tensor<2>>>(
    model: Model<N>,
    seed: u64,
) -> Predict {
    // Draws of which none was one of the training.
    Box::new(move |inputs| model.try_predict(inputs.clone(), DRAWS, seed ^ 0x0070_7265_6469_6374))
}

fn seeded(seed: u64, device: &Device) -> Device {
    device.seed(seed);
    device.clone().autodiff()
}

fn map(rows: &Rows, setting: Setting, seed: u64, device: &Device) -> Model<Net> {
    let net = Net::new(rows.features(), &seeded(seed, device));
    let decay = burn::optim::decay::WeightDecayConfig::new(setting.strength as f32);
    let mut adam = AdamConfig::new().with_weight_decay(Some(decay)).init();
    let plan = Plan {
        steps: setting.steps,
        rate: 0.01,
        last_rate: 0.0,
    };
    let start = model(net, rows.len(), 1.0, seed);
    let update = |rate, model, grads| adam.step(rate, model, grads);
    finished(train(start, rows, plan, seed, update, |_, _| ()))
}

fn mfvi(rows: &Rows, setting: Setting, seed: u64, device: &Device) -> Model<BayesianNet> {
    let net = BayesianNet::new(rows.features(), &seeded(seed, device));
    let mut adam = FusedAdamConfig::new().init();
    let plan = Plan {
        steps: setting.steps,
        rate: 0.01,
        last_rate: 0.0,
    };
    let start = model(net, rows.len(), setting.strength, seed);
    let update = |rate, model, grads| adam.step(rate, model, grads);
    finished(train(start, rows, plan, seed, update, |_, _| ()))
}

fn ivon(rows: &Rows, setting: Setting, seed: u64, device: &Device) -> Model<Net> {
    let config = IvonConfig::new(rows.len() as f64 / setting.strength)
        .with_beta_2(0.999)
        .with_weight_decay(1e-3);
    let net = config.attach(Net::new(rows.features(), &seeded(seed, device)));
    // What has no posterior is the noise.
    let mut adam = AdamConfig::new().init();
    let plan = Plan {
        steps: setting.steps,
        rate: 0.03,
        last_rate: 0.0,
    };
    let start = model(net, rows.len(), 1.0, seed);
    let update = |rate: f64, model: Model<Net>, mut grads| {
        let model = Ivon::step(rate, model, &mut grads);
        adam.step(0.3 * rate, model, grads)
    };
    finished(train(start, rows, plan, seed, update, |_, _| ()))
}

fn mc_dropout(rows: &Rows, setting: Setting, seed: u64, device: &Device) -> Model<DropoutNet> {
    let net = DropoutNet::new(rows.features(), setting.strength, &seeded(seed, device));
    let decay = burn::optim::decay::WeightDecayConfig::new(1e-4);
    let mut adam = AdamConfig::new().with_weight_decay(Some(decay)).init();
    let plan = Plan {
        steps: setting.steps,
        rate: 0.01,
        last_rate: 0.0,
    };
    let start = model(net, rows.len(), 1.0, seed);
    let update = |rate, model, grads| adam.step(rate, model, grads);
    finished(train(start, rows, plan, seed, update, |_, _| ()))
}

/// The last layer's posterior given the trained features, its prior precision and noise by the marginal likelihood.
fn laplace(rows: &Rows, setting: Setting, seed: u64, device: &Device) -> Predict {
    let model = map(rows, setting, seed, device);
    let net = &model.network;
    let noise = model.likelihood.noise_std()[0];
    let features = |inputs| net.features(inputs);
    let posterior = GaussianLastLayer::fit(&*rows.loader(), features, &net.output, noise, 1.0)
        .and_then(GaussianLastLayer::with_best_prior_and_noise);
    Box::new(move |inputs| {
        // Without an optimum, as when the features interpolate, what is left is the network.
        let Ok(posterior) = &posterior else {
            return NormalMixture::try_from_draws([normals(&model, inputs)], 1);
        };
        let features = column(model.network.features(inputs.clone()));
        let rows = features.chunks(HIDDEN);
        let predicted = rows
            .flat_map(|row| posterior.predict(row))
            .collect::<Vec<_>>();
        NormalMixture::try_from_draws([predicted], 1)
    })
}

fn sgld(rows: &Rows, setting: Setting, seed: u64, device: &Device) -> Predict {
    let net = Net::new(rows.features(), &seeded(seed, device));
    let mut optimizer = SgldConfig::new(rows.len()).with_seed(seed).init();
    let plan = Plan {
        steps: setting.steps,
        rate: setting.strength,
        last_rate: setting.strength,
    };
    let half = setting.steps as u64 / 2;
    let mut chain = ChainConfig::new(half, half / DRAWS as u64)
        .with_capacity(DRAWS)
        .init();
    let start = model(net, rows.len(), 1.0, seed);
    let update = |rate, model, grads| optimizer.step(rate, model, grads);
    train(start, rows, plan, seed, update, |_, model| {
        chain.push(model)
    });
    let models: Vec<_> = chain.into_networks().into_iter().map(finished).collect();
    Box::new(move |inputs| {
        let draws = models.iter().map(|model| normals(model, inputs));
        NormalMixture::try_from_draws(draws, 1)
    })
}
