//! A Bayesian LeNet-5 on digits, beside its deterministic twin: error, calibration, and what can be pruned.

mod cli;
mod model;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use blitz_train::blitz_core;
use blitz_train::prelude::*;
use burn::tensor::Device;
use burn::train::Interrupter;
use clap::Parser;
use example_support::classification::{Classifier, Data, Model, Scores, Settings};
use example_support::comparison::Study;
use example_support::{RunError, RunFolder, digits, exit_code, stop_on_ctrl_c};

use cli::{Cli, NetChoice};
use model::{Bayes, LeNetClassifier, Mlp};
use report::{Pruned, Report};

// The system's allocator gives every large tensor back to the kernel, and page faults then double the time of a step.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The weight of the KL for the shipped digits, chosen with `--validate`: so few images don't say enough about 61,706 weights
/// to pay for them in full.
const SHIPPED_BETA: f64 = 0.03;

/// The shares of the weights that `--prune` removes, those of Blundell et al. (2015), table 2.
const PRUNED: [f64; 5] = [0.0, 0.5, 0.75, 0.95, 0.98];

fn main() -> ExitCode {
    let cli = Cli::parse();
    exit_code("lenet-mnist", run(&cli))
}

fn run(cli: &Cli) -> Result<String, RunError> {
    let mut data = match &cli.data {
        Some(folder) => digits::idx(folder)?,
        None => digits::shipped()?,
    };
    if let Some(limit) = cli.limit {
        data.train = data.train.as_ref().clone().first(limit).into();
    }
    if cli.validate {
        let fifth = data.train.len() / 5;
        let (train, validation) = data.train.as_ref().clone().split_last(fifth);
        data = Data::new(&data.name, data.classes, train, validation)?;
    }
    let device = blitz_core::device::choose(cli.training.device.as_deref())?;
    let base = cli.training.out.clone();
    let folder = RunFolder::next(&base.unwrap_or_else(|| PathBuf::from("runs/lenet-mnist")))?;
    let interrupter = Interrupter::new();
    stop_on_ctrl_c(interrupter.clone())?;
    let settings = Settings {
        epochs: cli.epochs,
        batch_size: cli.batch_size,
        lr: cli.lr,
        samples: cli.training.samples,
        beta: BetaSchedule::Constant(cli.beta.unwrap_or(match cli.data {
            Some(_) => 1.0,
            None => SHIPPED_BETA,
        })),
        seed: cli.training.seed,
        dashboard: cli.training.dashboard,
    };
    let study = Study {
        data: &data,
        settings: &settings,
        predict_samples: cli.training.predict_samples,
        device,
        folder: &folder,
        interrupter: &interrupter,
    };
    let (bayes, classes) = (Bayes::from(cli), data.classes.len());
    let report = match cli.net {
        NetChoice::Lenet => report(cli, &study, |device| {
            LeNetClassifier::new(&bayes, classes, device)
        })?,
        NetChoice::Mlp => {
            let pixels = data.train.shape.iter().product();
            report(cli, &study, |device| {
                Mlp::new(&bayes, pixels, classes, device)
            })?
        }
    };
    Ok(if cli.training.json {
        report.json()
    } else {
        report.to_string()
    })
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
        pruned: pruned.collect(),
    })
}

/// What is left when this share of the weights, those of the least signal to noise, is removed.
fn prune<N: Classifier>(study: &Study<'_>, model: &Model<N>, share: f64) -> Pruned {
    let labels = study.data.test.labels();
    let (network, _) = model.network.clone().prune_by_signal_to_noise(share);
    let mean = network.mean_network();
    Pruned {
        share,
        draws: Scores::of(&study.predict(&network, study.predict_samples), &labels),
        mean: Scores::of(&study.predict(&mean, 1), &labels),
    }
}
