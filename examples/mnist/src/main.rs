//! A Bayesian LeNet-5 or perceptron on digits, beside its deterministic twin: error, calibration, and what can be
//! pruned.

mod cli;
mod model;
mod report;

use std::process::ExitCode;

use blitz_train::prelude::*;
use burn::tensor::Device;
use clap::Parser;
use example_support::classification::{Classifier, Data, Model, Scores};
use example_support::comparison::Study;
use example_support::{RunError, digits, exit_code, stop_on_ctrl_c};

use cli::{Cli, NetChoice};
use model::{Bayes, Mlp, lenet};
use report::{Pruned, Report};

// The system's allocator gives every large tensor back to the kernel, and page faults then double the time of a step.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The shares of the weights that `--prune` removes, those of Blundell et al. (2015), table 2.
const PRUNED: [f64; 5] = [0.0, 0.5, 0.75, 0.95, 0.98];

fn main() -> ExitCode {
    let cli = Cli::parse();
    exit_code("mnist", run(&cli))
}

fn run(cli: &Cli) -> Result<String, RunError> {
    let mut data = digits::load(cli.data.as_deref())?;
    if let Some(limit) = cli.limit {
        data = data.first(limit);
    }
    if cli.validate {
        let fifth = data.train.len() / 5;
        if fifth == 0 {
            let there = data.train.len();
            let reason =
                format!("--validate keeps a fifth of the training images: {there} have none");
            return Err(RunError::Setting(reason));
        }
        let (train, validation) = data.train.as_ref().clone().split_last(fifth);
        data = Data::new(&data.name, data.classes, train, validation)?;
    }
    cli.training.check_draws(data.logits())?;
    let beta = digits::beta(cli.beta, cli.data.as_deref());
    let settings = cli.training.settings(beta);
    let device = cli.training.run.device()?;
    let folder = cli.training.run.folder("mnist")?;
    let interrupter = stop_on_ctrl_c()?;
    let study = Study {
        data: &data,
        settings: &settings,
        predict_samples: cli.training.predict_samples,
        device,
        folder: &folder,
        interrupter: &interrupter,
    };
    let (bayes, classes) = (Bayes::from(cli), data.classes.len());
    let pixels = data.train.shape.iter().product();
    let mlp = |units| {
        let (bayes, sizes) = (&bayes, [pixels, units, classes]);
        report(cli, &study, move |device| Mlp::new(bayes, sizes, device))
    };
    let report = match cli.net {
        NetChoice::Lenet5 => report(cli, &study, |device| lenet(&bayes, classes, device))?,
        NetChoice::Mlp400 => mlp(400)?,
        NetChoice::Mlp1200 => mlp(1200)?,
    };
    Ok(cli.training.run.present(&report))
}

fn report<N: Classifier>(
    cli: &Cli,
    study: &Study<'_>,
    init: impl Fn(&Device) -> N,
) -> Result<Report, RunError> {
    let (model, comparison) = study.run(init)?;
    let shares = if cli.prune { &PRUNED[..] } else { &[] };
    let pruned = shares.iter().map(|share| prune(study, &model, *share));
    Ok(Report {
        comparison,
        pruned: pruned.collect::<Result<_, _>>()?,
    })
}

/// What is left when this share of the weights, those of the least signal to noise, is removed.
fn prune<N: Classifier>(
    study: &Study<'_>,
    model: &Model<N>,
    share: f64,
) -> Result<Pruned, RunError> {
    let labels = study.data.test.labels();
    let (network, _) = model.network.clone().prune_by_signal_to_noise(share);
    let mean = network.mean_network();
    let draws = study.predict(&network, study.predict_samples)?;
    Ok(Pruned {
        share,
        draws: Scores::of(&draws, &labels),
        mean: Scores::of(&study.predict(&mean, 1)?, &labels),
    })
}
