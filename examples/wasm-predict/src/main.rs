//! Trains the model natively, saves it, and writes down what it predicts here, for `predict.mjs` to compare with.
//!
//! Usage: `wasm-predict [FOLDER]`, by default `runs/wasm-predict`.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use blitz_train::files::{put, put_sealed};
use blitz_train::prelude::*;
use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Tensor};
use example_support::{RunError, exit_code};
use wasm_predict::{EXAMPLES, Model, inputs, model, noise, predict};

const MODEL: &str = "model.bpk";
/// What the model predicts here. It is written first, and says that the folder is of this program.
const NATIVE: &str = "native.json";
const BEGINNING: &str = r#"{"predictions":["#;

/// The noise of the training data.
const NOISE_STD: f32 = 0.1;

const HELP: &str = "\
Trains a small model, saves it, and writes down what it predicts, for predict.mjs to compare with

Usage: wasm-predict [FOLDER]

Arguments:
  [FOLDER]  Folder for model.bpk and native.json [default: runs/wasm-predict]

Options:
  -h, --help  Print help";

/// What the command line asks for.
enum Command {
    Help,
    Run(PathBuf),
}

/// There is one argument: too little for a parser of command lines.
fn command(arguments: &[OsString]) -> Result<Command, String> {
    match arguments {
        [] => Ok(Command::Run("runs/wasm-predict".into())),
        [help] if help == "--help" || help == "-h" => Ok(Command::Help),
        [empty] if empty.is_empty() => Err(format!("the folder has no name\n\n{HELP}")),
        [folder] if !folder.to_string_lossy().starts_with('-') => Ok(Command::Run(folder.into())),
        [first, others @ ..] => {
            let unexpected = others.first().unwrap_or(first).to_string_lossy();
            Err(format!("unexpected argument '{unexpected}'\n\n{HELP}"))
        }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let outcome = match command(&arguments) {
        Ok(Command::Help) => Ok(HELP.to_string()),
        Ok(Command::Run(folder)) => run(&folder),
        Err(reason) => Err(RunError::Setting(reason)),
    };
    exit_code("wasm-predict", outcome)
}

fn run(folder: &Path) -> Result<String, RunError> {
    check_whose(folder)?;
    writable(folder, fs::create_dir_all(folder))?;

    let failed = |error: &dyn std::fmt::Display| RunError::Setting(format!("the model: {error}"));
    let record = train(1000).into_record().into_bytes();
    let record = record.map_err(|error| failed(&error))?;
    let predictions = predict(record.to_vec()).map_err(|error| failed(&error))?;

    // By hand, as these are numbers only. Burn's floats all are finite here, and print as JSON wants them.
    let rows = inputs().into_iter().zip(&predictions).map(|(x, p)| {
        let (first_draw, mean, lower, upper) = (p.first_draw, p.mean, p.lower, p.upper);
        let in_one_pass = p.in_one_pass;
        format!(
            r#"{{"x":{x},"firstDraw":{first_draw},"mean":{mean},"lower":{lower},"upper":{upper},"inOnePass":{in_one_pass:?}}}"#
        )
    });
    let rows = rows.collect::<Vec<_>>().join(",\n");
    let bits = noise().into_iter().map(|value| value.to_bits().to_string());
    let bits = bits.collect::<Vec<_>>().join(",");
    let json = format!("{BEGINNING}\n{rows}],\n\"noiseBits\":[{bits}]}}\n");
    let (native, model) = (folder.join(NATIVE), folder.join(MODEL));
    writable(&native, put(&native, json.as_bytes()))?;
    writable(&model, put_sealed(&model, &record))?;
    Ok(format!(
        "{}: {MODEL}, {} bytes, and {NATIVE}",
        folder.display(),
        record.len()
    ))
}

/// An error if the folder has a model or predictions of another program, or of another run than this program's.
fn check_whose(folder: &Path) -> Result<(), RunError> {
    let native = fs::read_to_string(folder.join(NATIVE)).unwrap_or_default();
    let mut files = [MODEL, NATIVE].into_iter();
    match files.find(|name| folder.join(name).exists()) {
        Some(name) if !native.starts_with(BEGINNING) => Err(RunError::Setting(format!(
            "{} has a {name} that is not of this program: move it away, or take another folder",
            folder.display()
        ))),
        _ => Ok(()),
    }
}

fn writable<T>(path: &Path, written: io::Result<T>) -> Result<T, RunError> {
    written.map_err(|error| RunError::NotWritable {
        path: path.into(),
        reason: error.to_string(),
    })
}

/// The model after `steps` steps on a noisy sine.
fn train(steps: u64) -> Model {
    let device = Device::flex().autodiff();
    device.seed(1);
    let mut model = model(&device);

    let x: Vec<f32> = (0..EXAMPLES)
        .map(|i| 2.0 * i as f32 / (EXAMPLES - 1) as f32 - 1.0)
        .collect();
    let mut noise = vec![0.0; EXAMPLES];
    NoiseKey::new(1, 0, 0).fill_standard_normal(0, &mut noise);
    let y: Vec<f32> = x
        .iter()
        .zip(&noise)
        .map(|(x, e)| (3.0 * x).sin() + NOISE_STD * e)
        .collect();
    let column = |values: &[f32]| Tensor::<1>::from_floats(values, &device).unsqueeze_dim::<2>(1);
    let (x, y) = (column(&x), column(&y));

    let mut adam = AdamConfig::new().init();
    for step in 0..steps {
        let loss = model.elbo().loss(&model.network, step.into(), |network| {
            model.likelihood.nll(network.forward(x.clone()), y.clone())
        });
        let grads = GradientsParams::from_grads(loss.loss.backward(), &model);
        model = adam.step(1e-2, model, grads);
    }
    model.valid()
}
