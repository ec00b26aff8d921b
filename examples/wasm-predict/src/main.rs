//! Trains the model natively, saves it, and writes down what it predicts here, for `predict.mjs` to compare with.
//!
//! Usage: `wasm-predict [FOLDER]`, by default `runs/wasm-predict`.

use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use blitz_train::prelude::*;
use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Tensor};
use wasm_predict::{EXAMPLES, Model, inputs, model, noise, predict};

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
        Ok(Command::Help) => {
            println!("{HELP}");
            Ok(())
        }
        Ok(Command::Run(folder)) => run(folder),
        Err(reason) => Err(reason.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wasm-predict: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(folder: PathBuf) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(&folder)?;

    let record = train(1000).into_record().into_bytes()?;
    fs::write(folder.join("model.bpk"), &record[..])?;
    let predictions = predict(record.to_vec())?;

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
    let json = format!("{{\"predictions\":[\n{rows}],\n\"noiseBits\":[{bits}]}}\n");
    fs::write(folder.join("native.json"), json)?;
    println!(
        "{}: model.bpk, {} bytes, and native.json",
        folder.display(),
        record.len()
    );
    Ok(())
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
