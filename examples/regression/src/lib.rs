//! A Bayesian regressor on Burn, trained by Burn's Learner with the ELBO, with intervals one can defend.

mod cli;
mod config;
mod error;
mod evaluate;
mod folder;
mod model;
mod plot;
mod report;
mod train;

use std::process::ExitCode;

use blitz_train::blitz_core;
use burn::tensor::Device;
use burn::train::Interrupter;
use clap::Parser;
use example_support::{LeftOut, exit_code, say, stop_on_ctrl_c, written};

use cli::Cli;
use config::RunConfig;
use error::RunError;
use evaluate::{Evaluation, items};
use example_support::tabular::{Split, Table};
use folder::Folder;
use report::{Report, Row, SplitSummary, spread};
use train::Session;

/// The program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    exit_code("regression", run(&cli))
}

fn run(cli: &Cli) -> Result<String, RunError> {
    let table = cli.table()?;
    let splits = cli.splits(&table)?;
    let run = Run {
        cli,
        table: &table,
        device: blitz_core::device::choose(cli.device.as_deref())?,
        interrupter: stop_on_ctrl_c().map_err(|error| RunError::Setting(error.to_string()))?,
    };

    // By what was asked for: a file of splits may have one.
    if let ([(name, split)], false) = (splits.as_slice(), cli.runs_all_splits()) {
        let report = run.split(name, split, &Folder::new(&cli.out), cli.resume)?;
        return Ok(if cli.json {
            report::json(&report)
        } else {
            report.to_string()
        });
    }
    let summary = run.all(&splits)?;
    Ok(if cli.json {
        report::json(&summary)
    } else {
        summary.to_string()
    })
}

/// What all splits of a run share.
struct Run<'a> {
    cli: &'a Cli,
    table: &'a Table,
    device: Device,
    interrupter: Interrupter,
}

impl Run<'_> {
    /// Every split in turn, each in a folder of its own.
    fn all(&self, splits: &[(String, Split)]) -> Result<SplitSummary, RunError> {
        let out = &self.cli.out;
        let folders: Vec<Folder> = (0..splits.len())
            .map(|k| Folder::new(out.join(format!("split-{k}"))))
            .collect();
        let begun = |folder: &Folder| folder.last_checkpoint().is_some();
        if self.cli.resume && !folders.iter().any(begun) {
            return Err(RunError::NoCheckpoint { path: out.clone() });
        }
        let (mut reports, mut left_out) = (Vec::new(), Vec::new());
        for (k, ((name, split), folder)) in splits.iter().zip(&folders).enumerate() {
            say!("{name}, {} of {}", k + 1, splits.len());
            // A run that was stopped has splits that it had not come to.
            let resume = self.cli.resume && begun(folder);
            match self.split(name, split, folder, resume) {
                Ok(report) => reports.push(report),
                // The others are worth their summary.
                Err(error) if error.is_of_one_split() => {
                    left_out.push(LeftOut::new(name, self.cli.seed, error));
                }
                Err(error) => return Err(error),
            }
        }
        LeftOut::unless_something_is_left(&left_out, reports.is_empty())
            .map_err(|error| RunError::Setting(error.to_string()))?;
        Ok(SplitSummary::new(reports, left_out, out.clone()))
    }

    /// Trains, predicts, measures and plots one split.
    fn split(
        &self,
        name: &str,
        split: &Split,
        folder: &Folder,
        resume: bool,
    ) -> Result<Report, RunError> {
        let (cli, table) = (self.cli, self.table);
        let config = RunConfig::new_for(cli, table, split)?;
        let _claim = folder.claim(!resume)?;
        let resume_from = if resume {
            Some(folder.resume(&config)?)
        } else {
            folder.begin(&config)?;
            None
        };
        let trained = train::train(
            &config,
            items(&config, table, &split.train),
            items(&config, table, &split.test),
            &self.device,
            Session {
                folder,
                resume_from,
                dashboard: cli.dashboard,
                interrupter: &self.interrupter,
            },
        )?;
        let model = trained.model;
        let model_file = folder.model();
        model.save(&model_file)?;

        let test = Evaluation::of(
            &model,
            &config,
            table,
            split,
            cli.predict_samples,
            &self.device,
        )?;
        let coverage_95 = test.share(Row::inside_95);
        let title = format!(
            "{}: {:.0} % of {} test rows inside the 95 % interval",
            table.title,
            100.0 * coverage_95,
            split.test.len()
        );
        let mut left_out = Vec::new();
        let plot = written(folder.plot(), cli.seed, &mut left_out, |path| {
            plot::intervals(path, &test.rows, &title, &table.unit)
        });

        let epochs_run = config.epochs - resume_from.unwrap_or(0).min(config.epochs);
        Ok(Report {
            data: table.title.clone(),
            unit: table.unit.clone(),
            split: name.to_string(),
            n_train: split.train.len(),
            n_test: split.test.len(),
            rmse: test.rmse,
            nll: test.nll,
            coverage_75: test.share(Row::inside_75),
            coverage_95,
            width_75: test.mean(|row| row.upper_75 - row.lower_75),
            width_95: test.mean(|row| row.upper_95 - row.lower_95),
            seconds: trained.time.as_secs_f64(),
            seconds_per_epoch: (epochs_run > 0)
                .then(|| trained.time.as_secs_f64() / epochs_run as f64),
            epochs: config.epochs,
            epochs_run,
            samples: config.elbo.samples,
            predict_samples: cli.predict_samples,
            seed: cli.seed,
            device: format!("{:?}", self.device),
            posterior_moved: trained.posterior_moved,
            plot,
            left_out,
            model: model_file,
            rows: spread(&test.rows),
        })
    }
}
