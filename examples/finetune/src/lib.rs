//! A trained transformer, a few labels and LoRA: how sure is each method of what it learnt? A library, so that the
//! campaigns can damage what it reads.

pub mod bert;
pub mod text;

mod args;
mod data;
mod digits;
mod encoder;
mod methods;
mod model;
mod report;
mod train;

use std::path::PathBuf;
use std::time::Instant;

use blitz_train::save_adapter;
use burn::module::Module;
use burn::tensor::Device;
use example_support::reliability::reliability;
use example_support::{Digest, Kept, LeftOut, RunError, RunFolder, say};
use serde::{Deserialize, Serialize};

pub use args::Cli;
pub use data::Tokens;

use args::Method;
use data::{Sequences, Task};
use methods::{Study, logits, of_logits};
use model::Classifier;
use report::{Predicted, Report, Row, Summary};

/// What the program says in the end.
///
/// # Errors
///
/// Returns an error if a setting or a file is wrong, or if no method came to an end.
pub fn run(cli: &Cli) -> Result<String, RunError> {
    let start = Instant::now();
    let device = cli.run.device()?;
    let task = match (&cli.model, &cli.data) {
        (Some(model), Some(data)) => text::task(cli, model, data, &device)?,
        _ => digits::task(cli, &device)?,
    };
    let results = match &task.saved {
        Some(network) => scored(cli, &task, network, &device)?,
        None => compared(cli, &task, &device)?,
    };
    let mut methods: Vec<&str> = Vec::new();
    for row in &results.rows {
        if !methods.contains(&row.method.as_str()) {
            methods.push(&row.method);
        }
    }
    let of = |name: &&str| {
        let rows: Vec<&Row> = results
            .rows
            .iter()
            .filter(|row| row.method == *name)
            .collect();
        Summary::of(&rows)
    };
    let report = Report {
        methods: methods.iter().map(of).collect(),
        examples: [&task.test, &task.near, &task.far].map(Sequences::len),
        task: task.name,
        classes: task.classes,
        labels_per_class: cli.adapter.is_none().then_some(cli.labels_per_class),
        labels: task.labelled.first().map(Sequences::len),
        seconds: start.elapsed().as_secs_f64(),
        adapters: results.adapters,
        rates: results.rates,
        left_out: results.left_out,
        rows: results.rows,
        plot: results.plot,
        hint: cli.model.is_none(),
    };
    Ok(cli.run.present(&report))
}

/// The rows of a run, seed after seed, and what it saved.
#[derive(Default)]
struct Results {
    rows: Vec<Row>,
    left_out: Vec<LeftOut>,
    rates: Vec<Option<f64>>,
    adapters: Vec<String>,
    plot: Option<PathBuf>,
}

impl Results {
    /// Goes on without it: what others took hours for is not lost with it.
    fn leave_out(&mut self, what: &str, seed: u64, error: impl std::fmt::Display) {
        self.left_out.push(LeftOut::new(what, seed, error));
    }
}

/// What the parts of a folder have in common.
#[derive(Debug, Serialize)]
struct Settings {
    /// Of the files of `--model`.
    model: Option<String>,
    /// Of the texts.
    data: Option<String>,
    examples: [usize; 3],
    labels_per_class: usize,
    layers: usize,
    rank: usize,
    steps: usize,
    pretrain_epochs: usize,
    tokens: usize,
    draws: usize,
}

/// A method on the labels of one seed, and the learning rate there.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Finished {
    rate: f64,
    row: Row,
}

fn kept(cli: &Cli, task: &Task) -> Result<Kept, RunError> {
    let Some(folder) = &cli.keep else {
        return Ok(Kept::default());
    };
    let model = cli
        .model
        .as_ref()
        .map(|folder| Ok::<_, RunError>(bert::digest(folder)?.text()));
    let data = cli
        .data
        .as_ref()
        .map(|path| Ok::<_, RunError>(Digest::default().file(path)?.text()));
    let settings = Settings {
        model: model.transpose()?,
        data: data.transpose()?,
        examples: [&task.test, &task.near, &task.far].map(Sequences::len),
        labels_per_class: cli.labels_per_class,
        layers: cli.layers,
        rank: cli.rank,
        steps: cli.steps,
        pretrain_epochs: cli.pretrain_epochs,
        tokens: cli.tokens,
        draws: cli.draws,
    };
    Ok(Kept::in_folder(folder, &settings)?)
}

/// Every method on the labels of every seed.
fn compared(cli: &Cli, task: &Task, device: &Device) -> Result<Results, RunError> {
    let kept = kept(cli, task)?;
    let folder = cli.run.folder("finetune")?;
    let part = |seed: u64, method: Method| format!("{seed}-{}", method.id());
    let mut results = Results::default();
    for (at, seed) in cli.repetitions().into_iter().enumerate() {
        let methods = cli.methods().into_iter();
        let methods = methods.map(|method| Ok((method, kept.finished(&part(seed, method))?)));
        let methods: Vec<(Method, Option<Finished>)> = methods.collect::<Result<_, RunError>>()?;
        let finished: Option<Vec<&Finished>> = methods.iter().map(|(_, f)| f.as_ref()).collect();
        if let Some(finished) = finished {
            say!("seed {seed}, kept by an earlier run");
            results.rates.push(finished.first().map(|first| first.rate));
            results.rows.extend(finished.iter().map(|f| f.row.clone()));
            continue;
        }
        say!("seed {seed}, the learning rate");
        let study = match Study::new(cli, task, at, device) {
            Ok(study) => study,
            Err(error) => {
                results.rates.push(None);
                results.leave_out("learning rate", seed, error);
                continue;
            }
        };
        results.rates.push(Some(study.rate()));
        let adapter = folder.join(&format!("lora-{seed}.bpk"));
        match save_adapter(study.lora(), &adapter) {
            Ok(()) => results.adapters.push(adapter.display().to_string()),
            Err(error) => results.leave_out("the adapter's file", seed, error),
        }
        let mut all = Vec::new();
        for (method, finished) in methods {
            say!("seed {seed}, {}", method.name());
            if let Some(Finished { row, .. }) = finished {
                all.push((row, None));
                continue;
            }
            let fitted = study.fit(method).and_then(|fitted| {
                let predicted = predicted(task, &fitted.predict)?;
                Ok((fitted, predicted))
            });
            let (fitted, predicted) = match fitted {
                Ok(fitted) => fitted,
                Err(error) => {
                    results.leave_out(method.name(), seed, error);
                    continue;
                }
            };
            let numbers = (fitted.setting, fitted.seconds, fitted.trainable);
            let row = Row::new(method.name(), seed, numbers, &predicted, task.test.labels());
            let (accuracy, nll, ece) =
                (100.0 * row.scores.accuracy, row.scores.nll, row.scores.ece);
            say!("  accuracy {accuracy:.1} %, NLL {nll:.3}, ECE {ece:.3}");
            let finished = Finished {
                rate: study.rate(),
                row: row.clone(),
            };
            if let Err(error) = kept.keep(&part(seed, method), &finished) {
                results.leave_out("what is kept", seed, error);
            }
            all.push((row, Some(predicted)));
        }
        if results.rows.is_empty() {
            match plot(&folder, task, &all) {
                Ok(plot) => results.plot = plot,
                Err(error) => results.leave_out("the plot", seed, error),
            }
        }
        results.rows.extend(all.into_iter().map(|(row, _)| row));
    }
    LeftOut::unless_something_is_left(&results.left_out, results.rows.is_empty())?;
    Ok(results)
}

/// The scores of an adapter that an earlier run saved.
fn scored(
    cli: &Cli,
    task: &Task,
    network: &Classifier,
    device: &Device,
) -> Result<Results, RunError> {
    let start = Instant::now();
    let trainable = network.trainable();
    let net = network.valid();
    let predicted = predicted(task, &|of| of_logits(logits(&net, of, device), task))?;
    let numbers = (None, start.elapsed().as_secs_f64(), trainable);
    let row = Row::new(
        "saved adapter",
        cli.seed,
        numbers,
        &predicted,
        task.test.labels(),
    );
    Ok(Results {
        rows: vec![row],
        ..Results::default()
    })
}

fn predicted(
    task: &Task,
    predict: &dyn Fn(&Sequences) -> Result<blitz_train::CategoricalMixture, RunError>,
) -> Result<Predicted, RunError> {
    Ok(Predicted {
        test: predict(&task.test)?,
        near: predict(&task.near)?,
        far: predict(&task.far)?,
    })
}

/// The reliability of LoRA alone and of the other method with the lowest NLL, if both are there and of this run:
/// predictions are not kept.
fn plot(
    folder: &RunFolder,
    task: &Task,
    all: &[(Row, Option<Predicted>)],
) -> Result<Option<PathBuf>, RunError> {
    let Some(((lora, before), others)) = all.split_first() else {
        return Ok(None);
    };
    let best = others
        .iter()
        .min_by(|a, b| a.0.scores.nll.total_cmp(&b.0.scores.nll));
    let best = best.filter(|_| lora.method == Method::Lora.name());
    let (Some(before), Some((row, Some(after)))) = (before, best) else {
        return Ok(None);
    };
    let path = folder.join("reliability.png");
    let shown = [
        (&lora.method[..], &before.test),
        (&row.method[..], &after.test),
    ];
    reliability(&path, shown, task.test.labels())?;
    Ok(Some(path))
}
