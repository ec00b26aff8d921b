//! The methods, on the labelled examples of one seed.

mod drawn;
mod laplace;
mod laplace_lora;

use std::time::Instant;

use blitz_train::calibration::TemperatureScaling;
use blitz_train::prelude::*;
use blitz_train::{Ensemble, InputError};
use burn::tensor::{Device, TensorData};
use example_support::{RunError, check_draws, chosen, mean, say};

use crate::args::{Cli, Method};
use crate::data::{Sequences, Task};
use crate::model::Classifier;
use crate::train::Training;

/// Adam's learning rates, of which a rule takes one for all methods.
const RATES: [f64; 2] = [3e-3, 1e-2];
/// Members of the ensemble.
const MEMBERS: u64 = 5;
/// Sequences that a prediction takes at a time.
const AT_ONCE: usize = 64;

/// Fails if the draws of a prediction are more than there is memory for. Asked before anything is computed.
pub fn check_prediction(cli: &Cli, classes: usize) -> Result<(), RunError> {
    match cli.adapter {
        // It has one.
        Some(_) => Ok(()),
        None => check_draws(cli.draws, AT_ONCE * classes).map_err(RunError::Setting),
    }
}

/// What a method predicts.
pub type Predict<'a> = Box<dyn Fn(&Sequences) -> Result<CategoricalMixture, RunError> + 'a>;

/// A method that is ready to predict.
pub struct Fitted<'a> {
    /// The setting that the rule chose, of a method that has one.
    pub setting: Option<f64>,
    /// Seconds of the training and of what follows it, without the rule.
    pub seconds: f64,
    /// How many numbers were trained.
    pub trainable: usize,
    /// Its predictions.
    pub predict: Predict<'a>,
}

/// Adapters of one seed, trained, and the seconds it took.
#[derive(Debug)]
struct Lora {
    network: Classifier,
    seconds: f64,
}

/// The labelled examples of one seed, and the networks that several methods start from.
#[derive(Debug)]
pub struct Study<'a> {
    cli: &'a Cli,
    task: &'a Task,
    device: Device,
    seed: u64,
    labelled: &'a Sequences,
    /// Three quarters of the labelled examples, and the rest: the rule's.
    fitting: Sequences,
    held_out: Sequences,
    rate: f64,
    /// Trained on three quarters, and on all.
    on_part: Lora,
    on_all: Lora,
}

impl<'a> Study<'a> {
    /// Chooses the learning rate, by the accuracy on the quarter that is held out, and trains the adapters.
    pub fn new(cli: &'a Cli, task: &'a Task, at: usize, device: &Device) -> Result<Self, RunError> {
        let seed = cli.repetitions()[at];
        let labelled = &task.labelled[at];
        let [fitting, held_out] = labelled.hold_out(task.classes.len(), seed);
        let autodiff = device.clone().autodiff();
        let lora = |examples: &Sequences, rate| {
            lora(
                cli,
                task,
                &training(cli, task, examples, rate, seed, &autodiff),
            )
        };
        let tried = |rate| {
            let trained = lora(&fitting, rate)?;
            let predictions = of_logits(logits(&trained.network, &held_out, device), task)?;
            let accuracy = predictions.accuracy(held_out.labels());
            let nll = mean(&predictions.nll(held_out.labels()));
            say!("  {rate}: {:.1} % held out, NLL {nll:.3}", 100.0 * accuracy);
            Ok::<_, RunError>((accuracy, nll, trained))
        };
        let is_better = |(accuracy, nll, _): &(f64, f64, Lora), best: &(f64, f64, Lora)| {
            *accuracy > best.0 || (*accuracy == best.0 && *nll < best.1)
        };
        let (rate, (_, _, on_part)) = chosen(&RATES, tried, is_better)?;
        let on_all = lora(labelled, rate)?;
        Ok(Self {
            cli,
            task,
            device: device.clone(),
            seed,
            labelled,
            fitting,
            held_out,
            rate,
            on_part,
            on_all,
        })
    }

    /// The adapters without a posterior.
    pub fn lora(&self) -> &Classifier {
        &self.on_all.network
    }

    /// The learning rate.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Fits a method, its setting by the NLL of the examples that are held out.
    pub fn fit(&self, method: Method) -> Result<Fitted<'_>, RunError> {
        let lora = |seconds, predict| Fitted {
            setting: None,
            seconds: self.on_all.seconds + seconds,
            trainable: self.lora().trainable(),
            predict,
        };
        match method {
            Method::Lora => Ok(lora(
                0.0,
                Box::new(|of| of_logits(self.logits(self.lora(), of), self.task)),
            )),
            Method::Temperature => {
                let start = Instant::now();
                let logits = self.logits(&self.on_part.network, &self.held_out);
                let labels = self.held_out.labels();
                let scaling = TemperatureScaling::try_fit(&logits, self.task.classes.len(), labels);
                let temperature = match scaling {
                    Ok(scaling) => scaling.temperature,
                    // Where all are right the colder the better, and where no more than chance the hotter: the network
                    // stays as it is.
                    Err(InputError::NoOptimum { .. }) => 1.0,
                    Err(error) => return Err(said(error)),
                };
                let scaling = TemperatureScaling { temperature };
                let predict: Predict = Box::new(move |of| {
                    of_logits(scaling.scale(&self.logits(self.lora(), of)), self.task)
                });
                Ok(Fitted {
                    setting: Some(temperature),
                    ..lora(start.elapsed().as_secs_f64(), predict)
                })
            }
            Method::Ensemble => self.ensemble(),
            Method::Laplace => self.laplace(),
            Method::LaplaceLora => self.laplace_lora(),
            Method::McDropout | Method::Blob | Method::Ivon | Method::Tfb => self.drawn(method),
        }
    }

    fn ensemble(&self) -> Result<Fitted<'_>, RunError> {
        let device = self.device.clone().autodiff();
        let others = (1..MEMBERS).map(|member| {
            let seed = self.seed.wrapping_add(1000 * member);
            let training = training(self.cli, self.task, self.labelled, self.rate, seed, &device);
            lora(self.cli, self.task, &training)
        });
        let others = others.collect::<Result<Vec<_>, _>>()?;
        let seconds = others.iter().map(|member| member.seconds).sum::<f64>();
        let members = others.into_iter().map(|member| member.network);
        let members: Vec<Classifier> = [self.lora().clone()].into_iter().chain(members).collect();
        let predictor = PredictorConfig::new(members.len())
            .init_with(&Ensemble::new(members), &likelihood(self.task));
        Ok(Fitted {
            setting: None,
            seconds: self.on_all.seconds + seconds,
            trainable: MEMBERS as usize * self.lora().trainable(),
            predict: Box::new(move |of| predictions(&predictor, of, &self.device)),
        })
    }

    fn draws(&self, network: &Classifier) -> Predict<'_> {
        let predictor = PredictorConfig::new(self.cli.draws)
            .with_seed(self.seed)
            .init(network, &likelihood(self.task));
        Box::new(move |of| predictions(&predictor, of, &self.device))
    }

    fn logits(&self, network: &Classifier, of: &Sequences) -> Vec<f64> {
        logits(network, of, &self.device)
    }
}

fn training<'a>(
    cli: &Cli,
    task: &Task,
    examples: &'a Sequences,
    rate: f64,
    seed: u64,
    device: &'a Device,
) -> Training<'a> {
    Training {
        examples,
        classes: task.classes.len(),
        steps: cli.steps,
        rate,
        seed,
        device,
    }
}

/// Untrained adapters and a new head, by the seed.
pub fn start(
    cli: &Cli,
    task: &Task,
    training: &Training,
    dropout: f64,
) -> Result<Classifier, RunError> {
    training.device.seed(training.seed);
    let net = Classifier::new(&task.upper, task.classes.len(), dropout, training.device);
    net.of(&task.files_and_classes)
        .adapted(cli.rank)
        .map_err(said)
}

fn lora(cli: &Cli, task: &Task, training: &Training) -> Result<Lora, RunError> {
    let begin = Instant::now();
    let net = start(cli, task, training, 0.0)?;
    let elbo = ElboConfig::new(training.examples.len()).init();
    let mut adam = FusedAdamConfig::new().init();
    let update = |rate, net, grads| adam.step(rate, net, grads);
    let network = training.run(net, &elbo, update)?;
    Ok(Lora {
        network,
        seconds: begin.elapsed().as_secs_f64(),
    })
}

fn likelihood(task: &Task) -> CategoricalLikelihood {
    CategoricalLikelihoodConfig::new(task.classes.len()).init()
}

/// The logits of one network, in row-major order.
pub fn logits(network: &Classifier, of: &Sequences, device: &Device) -> Vec<f64> {
    let batches = of.batches(AT_ONCE, device);
    let logits = batches.map(|batch| network.forward(batch.inputs).into_data());
    let logits: Vec<TensorData> = logits.collect();
    logits.iter().flat_map(|data| data.iter::<f64>()).collect()
}

/// The prediction of one network.
pub fn of_logits(logits: Vec<f64>, task: &Task) -> Result<CategoricalMixture, RunError> {
    CategoricalMixture::try_from_logits([logits], task.classes.len()).map_err(said)
}

fn predictions(
    predictor: &Predictor<Classifier, CategoricalLikelihood>,
    of: &Sequences,
    device: &Device,
) -> Result<CategoricalMixture, RunError> {
    let batches = of.batches(AT_ONCE, device);
    together(batches.map(|batch| Ok(predictor.predict(batch.inputs)?)))
}

/// The predictions of all batches as one.
fn together(
    batches: impl Iterator<Item = Result<CategoricalMixture, RunError>>,
) -> Result<CategoricalMixture, RunError> {
    let all = batches.reduce(|all, batch| {
        let mut all = all?;
        all.append(batch?);
        Ok(all)
    });
    all.unwrap_or_else(|| Err(RunError::Setting("there is nothing to predict".into())))
}

fn said(error: impl std::fmt::Display) -> RunError {
    RunError::Setting(error.to_string())
}
