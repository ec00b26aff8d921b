//! One workload of the comparison with the Python peers: `benches/peers/run.sh` runs it.
//!
//! Prints one line of JSON: the loss at known means, over many draws, and the median time of a step or of a prediction.

use std::time::Instant;

use blitz_train::blitz_core::device;
use blitz_train::predict_draws;
use blitz_train::prelude::*;
use burn::module::Module;
use burn::optim::AdamConfig;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, FloatDType};
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, ValueEnum, value_parser};
use rayon::ThreadPoolBuilder;

use crate::{Layers, Training, WORKLOADS, Workload, median, resident, timed};

/// Times one workload of the comparison with the Python peers.
#[derive(Debug, Parser)]
struct Options {
    /// The workload: one of the list, or any mlp-784-300-10; `predict-784-400-400-10` is the prediction.
    workload: String,
    /// Examples of a batch of a training step, instead of the workload's.
    #[arg(long, value_parser = value_parser!(u32).range(1..))]
    batch: Option<u32>,
    /// Draws of a training step, instead of the workload's.
    #[arg(long, value_parser = value_parser!(u16).range(1..))]
    samples: Option<u16>,
    /// What the network is made of.
    #[arg(long, value_enum, default_value = "shared")]
    layers: LayersOption,
    /// The device, called like its feature.
    #[arg(long, default_value = "flex")]
    device: String,
    /// The type of weights and examples.
    #[arg(long, value_enum, default_value = "f32")]
    dtype: Type,
    /// The seed of the draws.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds of timed work, at least.
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    seconds: f64,
    /// Run on a thread of rayon's, as a program may: the operations then start on it, and nobody has to be woken for
    /// them.
    #[arg(long)]
    in_pool: bool,
    /// Draws for the mean loss before the timing.
    #[arg(long, default_value_t = 200, value_parser = value_parser!(u64).range(1..))]
    loss_draws: u64,
}

/// A day, which no workload takes.
const LONGEST: f64 = 86_400.0;

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.0..=LONGEST).contains(&seconds) => Ok(seconds),
        _ => Err(format!(
            "must be a number of at least 0 and at most {LONGEST}"
        )),
    }
}

impl Options {
    /// Refuses what the prediction has no use for: its rows and its draws are fixed, and a flag that does nothing would
    /// be timed as if it did.
    fn checked(self) -> Result<Self, clap::Error> {
        let flags = [
            ("--batch", self.batch.is_some()),
            ("--samples", self.samples.is_some()),
        ];
        match flags.iter().find(|(_, is_given)| *is_given) {
            Some((flag, _)) if self.workload == PREDICTION => Err(Options::command().error(
                ErrorKind::ArgumentConflict,
                format!("{flag} is of a training step: {PREDICTION} has {PREDICTED_ROWS} rows and {PREDICTIVE_DRAWS} draws"),
            )),
            _ => Ok(self),
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LayersOption {
    /// Burn's layers, with Burn's Adam.
    Deterministic,
    /// Burn's layers with IVON's posteriors and steps.
    Ivon,
    /// Shared weights.
    Shared,
    /// Local reparameterization.
    Local,
    /// Flipout.
    Flipout,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Type {
    F16,
    Bf16,
    F32,
    F64,
}

impl From<Type> for FloatDType {
    fn from(dtype: Type) -> Self {
        match dtype {
            Type::F16 => Self::F16,
            Type::Bf16 => Self::BF16,
            Type::F32 => Self::F32,
            Type::F64 => Self::F64,
        }
    }
}

const PREDICTION: &str = "predict-784-400-400-10";
const PREDICTED_ROWS: usize = 256;
const PREDICTIVE_DRAWS: usize = 100;

/// Timed runs of something on the device, after some that are not timed: their median in milliseconds.
fn median_within(seconds: f64, device: &Device, mut run: impl FnMut()) -> f64 {
    for _ in 0..3 {
        timed(device, &mut run);
    }
    let (start, mut times) = (Instant::now(), Vec::new());
    while start.elapsed().as_secs_f64() < seconds || times.len() < 5 {
        times.push(timed(device, &mut run));
    }
    median(&times)
}

/// Mean and standard error.
fn mean(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let square: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (square / (n - 1.0).max(1.0) / n).sqrt())
}

fn train(workload: &Workload, layers: Layers, device: &Device, options: &Options) {
    let plain = device;
    let device = device.clone().autodiff();
    let before = resident("VmRSS");
    let optimizer = match layers {
        Layers::Deterministic => AdamConfig::new().init(),
        // IVON leaves it nothing to do.
        Layers::Ivon | Layers::Bayesian(_) => FusedAdamConfig::new().init(),
    };
    let mut training = Training::new(workload, layers, optimizer, &device);
    let net = training.net().clone().valid();
    let batch = workload.batch(plain);
    let losses: Vec<f64> = (0..options.loss_draws)
        .map(|index| net.with_draw(options.seed, index, |net| batch.nll(net)))
        .map(|nll| nll.mean().into_scalar::<f32>().into())
        .collect();
    let (nll, nll_se) = mean(&losses);
    let kl: f32 = net.kl_cost().into_scalar();
    for _ in 0..2 {
        training.step();
    }
    let peak = resident("VmHWM")
        .zip(before)
        .map(|(peak, before)| peak - before);
    let ms = median_within(options.seconds, plain, || training.step());
    println!(
        "{}",
        serde_json::json!({
            "ms": ms, "nll": nll, "nll_se": nll_se, "kl": kl, "weights": net.num_bayesian_weights(),
            "peak_bytes": peak,
        })
    );
}

fn predict(layers: Layers, device: &Device, options: &Options) {
    let mut workload = Workload::named("mlp-784-400-400-10")
        .unwrap_or_else(|| unreachable!("it is one of the list"));
    workload.batch = PREDICTED_ROWS;
    let net = workload.net(layers, device).with_known_means();
    let input = workload.batch(device).input;
    let mut probability = 0.0;
    let ms = median_within(options.seconds, device, || {
        let outputs = predict_draws(&net, PREDICTIVE_DRAWS, options.seed, |net| {
            net.forward(&input)
        });
        let probabilities = outputs.into_iter().map(|output| softmax(output, 1));
        let sum = probabilities.reduce(|sum, more| sum + more);
        let mean = sum.map(|sum| sum / PREDICTIVE_DRAWS as f64);
        // Something that depends on every draw, for the comparison.
        let mean = mean.unwrap_or_else(|| unreachable!("there are draws"));
        probability = mean.slice([0..1, 0..1]).into_scalar::<f32>();
    });
    println!(
        "{}",
        serde_json::json!({ "ms": ms, "probability": probability })
    );
}

/// Runs the workload that the command line names.
pub fn main() {
    let options = Options::parse()
        .checked()
        .unwrap_or_else(|error| error.exit());
    if !options.in_pool {
        return run(&options);
    }
    match ThreadPoolBuilder::new().build() {
        Ok(pool) => pool.install(|| run(&options)),
        Err(error) => {
            eprintln!("no threads to run on: {error}");
            std::process::exit(2);
        }
    }
}

fn run(options: &Options) {
    let layers = match options.layers {
        LayersOption::Deterministic => Layers::Deterministic,
        LayersOption::Ivon => Layers::Ivon,
        LayersOption::Shared => Layers::Bayesian(Estimator::SharedWeights),
        LayersOption::Local => Layers::Bayesian(Estimator::LocalReparameterization),
        LayersOption::Flipout => Layers::Bayesian(Estimator::Flipout),
    };
    let mut device = device::choose(Some(&options.device)).unwrap_or_else(|error| {
        eprintln!("{error}");
        std::process::exit(2);
    });
    if let Err(error) = device.configure(FloatDType::from(options.dtype)) {
        eprintln!("{device:?} has no {:?}: {error}", options.dtype);
        std::process::exit(2);
    }
    match Workload::named(&options.workload) {
        Some(mut workload) => {
            workload.batch = options.batch.map_or(workload.batch, |batch| batch as usize);
            workload.samples = options.samples.map_or(workload.samples, usize::from);
            train(&workload, layers, &device, options);
        }
        None if options.workload == PREDICTION && layers == Layers::Ivon => {
            eprintln!("IVON is timed in its steps: it predicts as every posterior does");
            std::process::exit(2);
        }
        None if options.workload == PREDICTION => predict(layers, &device, options),
        None => {
            let names = WORKLOADS.map(|workload| workload.name).join(", ");
            eprintln!(
                "there is no workload {}: {names}, {PREDICTION}",
                options.workload
            );
            std::process::exit(2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(arguments: &[&str]) -> Option<String> {
        let options = Options::try_parse_from(["workload"].iter().chain(arguments));
        let error = options.and_then(Options::checked).err()?;
        Some(error.to_string())
    }

    #[test]
    fn what_can_not_be_timed_is_refused_by_its_flag() {
        for (flag, value) in [
            ("--batch", "0"),
            ("--samples", "0"),
            ("--samples", "70000"),
            ("--loss-draws", "0"),
            ("--seconds", "inf"),
            ("--seconds", "NaN"),
            ("--seconds", "1e300"),
            ("--seconds", "0x1"),
        ] {
            let said = said(&["lenet-5", flag, value]).unwrap();
            assert!(said.contains(flag) && said.contains(value), "{said}");
        }
        for flag in ["--batch", "--samples"] {
            let said = said(&[PREDICTION, flag, "7"]).unwrap();
            assert!(
                said.contains(&format!("{flag} is of a training step")),
                "{said}"
            );
            assert!(said.contains("256 rows and 100 draws"), "{said}");
        }
        assert_eq!(said(&["lenet-5", "--batch", "7", "--samples", "3"]), None);
        assert_eq!(said(&[PREDICTION]), None);
    }
}
