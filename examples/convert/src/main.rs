//! A trained deterministic network made Bayesian, and what that does to its calibration.

mod cli;
mod model;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use blitz_train::prelude::*;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burn::train::Interrupter;
use clap::Parser;
use example_support::classification::{self, Data, Model, Scores, Settings, predict};
use example_support::comparison::Row;
use example_support::{
    RunError, RunFolder, digits, exit_code, reliability, say, stop_on_ctrl_c, written,
};

use cli::Cli;
use model::Net;
use report::Report;

// The system's allocator gives every large tensor back to the kernel, and page faults then double the time of a step.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// This is all that blitz asks of the network.
impl Network for Net {
    type Input = Tensor<4>;
    type Output = Tensor<2>;

    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        Net::forward(self, images)
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    exit_code("convert", run(&cli))
}

fn run(cli: &Cli) -> Result<String, RunError> {
    let data = digits::load(cli.data.as_deref())?.first(cli.limit);
    cli.training.check_draws(data.logits())?;
    let device = cli.training.run.device()?;
    device.seed(cli.training.seed);
    let untrained = Net::new(data.classes.len(), &device.clone().autodiff());
    let load = |path: &PathBuf| untrained.clone().load(path);
    let loaded = cli.checkpoint.as_ref().map(load).transpose()?;
    // What can't be converted is refused before a folder is made, or a network trained.
    convert(loaded.as_ref().unwrap_or(&untrained), &moped(cli))?;
    let study = Study {
        cli,
        data: &data,
        device,
        folder: cli.training.run.folder("convert")?,
        interrupter: stop_on_ctrl_c()?,
    };
    Ok(cli.training.run.present(&study.run(untrained, loaded)?))
}

/// The settings of the conversion of all weights.
fn moped(cli: &Cli) -> MopedConfig {
    MopedConfig::new()
        .with_delta(cli.delta)
        .with_prior(Some(PriorConfig::normal(cli.prior_std)))
}

/// The conversion: one call on the trained network. A weight that is not finite, or whose deviation would not be, has
/// none.
fn convert(trained: &Net, moped: &MopedConfig) -> Result<Net, RunError> {
    trained.clone().try_moped(moped).map_err(|error| {
        RunError::Setting(format!(
            "the network can't be converted with --delta {:?}: {error}",
            moped.delta
        ))
    })
}

/// What the trainings of a run share.
struct Study<'a> {
    cli: &'a Cli,
    data: &'a Data,
    device: Device,
    folder: RunFolder,
    interrupter: Interrupter,
}

impl Study<'_> {
    /// Of the network as it begins, and of one that was trained before, if there is one.
    fn run(&self, untrained: Net, loaded: Option<Net>) -> Result<Report, RunError> {
        let cli = self.cli;
        let trained = match loaded {
            Some(loaded) => loaded,
            None => {
                say!("the deterministic network");
                let (model, _) =
                    self.train(untrained.clone(), cli.training.epochs, "deterministic")?;
                model.network.train()
            }
        };
        self.folder.save(trained.clone(), "deterministic.bpk")?;

        let moped = moped(cli);
        let converted = convert(&trained, &moped)?;
        let last_layer = convert(&trained, &moped.only(WeightFilter::last_layer()))?;
        let from_scratch = untrained
            .bayesianize(&BayesianizeConfig::new().with_prior(PriorConfig::normal(cli.prior_std)));

        say!("all weights converted, and tuned");
        let (tuned, time) = self.train(converted.clone(), cli.fine_tune, "tuned")?;
        let model_file = self.folder.save(tuned.clone(), "model.bpk")?;
        say!("the last layer converted, and tuned");
        let (last_layer, _) = self.train(last_layer, cli.fine_tune, "last-layer")?;
        say!("Bayesian from scratch");
        let (from_scratch, _) = self.train(from_scratch, cli.training.epochs, "from-scratch")?;

        let draws = cli.training.predict_samples;
        let moped = format!("MOPED, δ = {}", cli.delta);
        let predictions = [
            ("deterministic".into(), self.predict(trained, 1)?),
            (
                format!("{moped}, as it comes"),
                self.predict(converted, draws)?,
            ),
            (
                format!("{moped}, tuned"),
                self.predict(tuned.network, draws)?,
            ),
            (
                format!("{moped}, last layer, tuned"),
                self.predict(last_layer.network, draws)?,
            ),
            (
                "Bayesian from scratch".into(),
                self.predict(from_scratch.network, draws)?,
            ),
        ];
        let labels = self.data.test.labels();
        let mut left_out = Vec::new();
        let picture = self.folder.join("reliability.png");
        let plot = written(picture, cli.training.seed, &mut left_out, |path| {
            let shown = [0, 2].map(|row| (predictions[row].0.as_str(), &predictions[row].1));
            reliability::reliability(path, shown, &labels)
        });
        let rows = predictions.map(|(name, predictions): (String, CategoricalMixture)| Row {
            name,
            scores: Scores::of(&predictions, &labels),
        });
        Ok(Report {
            data: self.data.name.clone(),
            train_images: self.data.train.len(),
            test_images: self.data.test.len(),
            rows: rows.to_vec(),
            seconds: time.as_secs_f64(),
            plot,
            left_out,
            model: model_file,
        })
    }

    fn train(
        &self,
        network: Net,
        epochs: usize,
        name: &str,
    ) -> Result<(Model<Net>, std::time::Duration), RunError> {
        let settings = Settings {
            epochs,
            ..self.cli.training.settings(self.cli.beta)
        };
        let folder = self.folder.join(name);
        classification::train(
            network,
            self.data,
            &settings,
            &self.device,
            &folder,
            &self.interrupter,
        )
    }

    fn predict(&self, network: Net, draws: usize) -> Result<CategoricalMixture, RunError> {
        Ok(predict(
            &network.valid(),
            self.data,
            draws,
            self.cli.training.seed,
            &self.device,
        )?)
    }
}
