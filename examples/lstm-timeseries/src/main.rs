//! One-step forecasts of a time series by a Bayesian LSTM, with intervals one can check.

mod cli;
mod model;
mod plot;
mod report;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use blitz_train::prelude::*;
use blitz_train::{CoverageMetric, DrawCache};
use burn::data::dataloader::DataLoader;
use burn::grad_clipping::GradientClippingConfig;
use burn::optim::AdamConfig;
use burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::tensor::{Device, Tensor};
use burn::train::checkpoint::KeepLastNCheckpoints;
use burn::train::metric::LossMetric;
use burn::train::{Interrupter, Learner, SupervisedTraining};
use clap::Parser;
use example_support::series::{Series, Window};
use example_support::{
    EstimatorChoice, RunError, check_layers, check_windows, exit_code, fit_in, loader, say,
    stop_on_ctrl_c, written,
};

use cli::{Cli, SeriesChoice};
use model::{Forecaster, Scale, WindowBatcher, layers};
use report::{Forecast, Report};

// The system's allocator gives every large tensor back to the kernel, and page faults then double the time of a step.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The share of the windows, the last ones, that is held out.
const TEST_SHARE: f64 = 0.2;

/// The network with its likelihood.
type Model = ElboModel<Forecaster, GaussianLikelihood>;

fn main() -> ExitCode {
    let cli = Cli::parse();
    exit_code("lstm-timeseries", run(&cli))
}

fn run(cli: &Cli) -> Result<String, RunError> {
    if cli.estimator == EstimatorChoice::Local {
        return Err(RunError::Setting(
            "--estimator local: a recurrent layer has shared weights or flipout".into(),
        ));
    }
    check_layers(layers(cli)).map_err(RunError::Setting)?;
    let (series, window) = match (&cli.data, cli.series) {
        (Some(path), _) => (Series::read(path, cli.format.clone())?, 20),
        (None, SeriesChoice::Co2) => (Series::co2(), 52),
        (None, SeriesChoice::Sunspots) => (Series::sunspots(), 33),
    };
    let window = cli.window.unwrap_or(window);
    let most = series.values.len().saturating_sub(window);
    check_windows(most, window).map_err(RunError::Setting)?;
    let windows = series.windows(window);
    let held_out = (windows.len() as f64 * TEST_SHARE) as usize;
    if held_out == 0 {
        return Err(RunError::Setting(format!(
            "a window of {window} leaves {} forecasts of the {} values: too few to hold some out",
            windows.len(),
            series.values.len()
        )));
    }
    cli.training.check_draws(held_out)?;
    if let Some(missing) = series.missing {
        say!("{}: missing are {missing}", series.name);
    }
    let (train_windows, test_windows) = windows.split_at(windows.len() - held_out);

    let device = cli.training.run.device()?;
    let folder = cli.training.run.folder("lstm-timeseries")?;
    let interrupter = stop_on_ctrl_c()?;

    let scale = Scale::of(train_windows).map_err(|error| {
        RunError::data(&series.name, format!("its steps can't be scaled: {error}"))
    })?;
    let (model, time) = train(
        cli,
        &scale,
        [train_windows, test_windows],
        &device,
        folder.path(),
        &interrupter,
    )?;
    let model_file = folder.save(model.clone(), "model.bpk")?;
    let (draws, seed) = (cli.training.predict_samples, cli.training.seed);
    let predictor = PredictorConfig::new(draws)
        .with_seed(seed)
        .with_weights(DrawCache::Redrawn)
        .init(&model.network, &model.likelihood);
    let predicted_at_once = at_once(window, cli.hidden);
    let held_out = batches(test_windows, &scale, predicted_at_once, None, &device);
    let predicted = predictor.predict_all(held_out.as_ref(), |_| {})?;
    let predictive = scale.step.inverse_predictive(predicted.predictive);

    let forecasts = Forecast::of(&series, test_windows, &predictive);
    let mut report = Report::new(&series, train_windows.len(), &forecasts, time, model_file)?;
    let picture = folder.join("forecasts.png");
    report.plot = written(picture, seed, &mut report.left_out, |path| {
        plot::band(path, &series, &forecasts)
    });
    Ok(cli.training.run.present(&report))
}

/// The values of the LSTM's states in windows that are predicted together: with its gates they take some hundred
/// megabytes.
const STATES_AT_ONCE: usize = 1 << 22;

/// The windows that are predicted together.
fn at_once(window: usize, hidden: usize) -> usize {
    (STATES_AT_ONCE / (window * hidden)).max(1)
}

/// Windows in batches on `device`, in their order, or in one that a seed draws anew for each epoch.
fn batches(
    windows: &[Window],
    scale: &Scale,
    batch_size: usize,
    shuffle: Option<u64>,
    device: &Device,
) -> Arc<dyn DataLoader<LabeledBatch<Tensor<3>, Tensor<2>>>> {
    let batcher = WindowBatcher(scale.clone());
    loader(batcher, windows.to_vec(), batch_size, shuffle, device)
}

/// Trains on the first windows and shows how the second go, which decide nothing.
fn train(
    cli: &Cli,
    scale: &Scale,
    [train, test]: [&[Window]; 2],
    device: &Device,
    folder: &Path,
    interrupter: &Interrupter,
) -> Result<(Model, Duration), RunError> {
    // Burn draws the initial weights from the device's own generator.
    device.seed(cli.training.seed);
    let device = device.clone().autodiff();
    let elbo = ElboConfig::new(train.len())
        .with_samples(cli.training.samples)
        .with_beta(BetaSchedule::Constant(cli.beta))
        .with_seed(cli.training.seed);
    let model = ElboModel::new(
        Forecaster::new(cli, &device),
        GaussianLikelihoodConfig::new().init(&device),
        elbo.init(),
    );
    let steps = train.len().div_ceil(cli.training.batch_size) * cli.training.epochs;
    let learning_rate = CosineAnnealingLrSchedulerConfig::new(cli.training.lr, steps)
        .init()
        .map_err(RunError::Setting)?;
    // A recurrent network's gradient explodes now and then.
    let clipping = GradientClippingConfig::Norm(1.0);
    let adam = AdamConfig::new().with_grad_clipping(Some(clipping)).init();

    let (size, seed) = (cli.training.batch_size, cli.training.seed);
    let predicted_at_once = at_once(test[0].inputs.len(), cli.hidden);
    let training = SupervisedTraining::new(
        folder,
        batches(train, scale, size, Some(seed), &device),
        batches(test, scale, predicted_at_once, None, &device),
    )
    .metrics((
        LossMetric::new(),
        NllMetric::new(),
        KlMetric::new(),
        RmseMetric::new().with_scale(scale.step.std[0]),
        CoverageMetric::new(0.95),
    ))
    .with_checkpointing_strategy(KeepLastNCheckpoints::new(2))
    .with_interrupter(interrupter.clone());
    fit_in(
        folder,
        training,
        Learner::new(model, adam, learning_rate),
        cli.training.epochs,
        cli.training.dashboard,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_windows_are_predicted_a_few_at_a_time_and_the_shipped_series_at_once() {
        for (window, hidden) in [(20_000, 128), (200, 5_000), (10_000_000, 5_000)] {
            let at_once = at_once(window, hidden);
            assert!(at_once >= 1, "{window}");
            assert!(
                at_once == 1 || at_once * window * hidden <= STATES_AT_ONCE,
                "{window}"
            );
        }
        for (series, window) in [(Series::co2(), 52), (Series::sunspots(), 33)] {
            let held_out = series.windows(window).len() as f64 * TEST_SHARE;
            assert!(at_once(window, 32) as f64 >= held_out, "{}", series.name);
        }
    }
}
