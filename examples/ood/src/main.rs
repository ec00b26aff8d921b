//! Digits that a classifier never saw, and images that are none: does its uncertainty say so?

mod outside;
mod plot;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use blitz_train::blitz_layers::models::{LeNet, LeNetConfig};
use blitz_train::prelude::*;
use blitz_train::{Ensemble, NetworkPosterior};
use burn::tensor::Device;
use clap::Parser;
use clap::builder::ArgPredicate;
use example_support::classification::{
    Classifier, Data, Scores, numbers_of_a_draw, predict_images, predictor, train,
};
use example_support::number::{at_least, not_negative};
use example_support::{
    EstimatorChoice, RunError, TrainingArgs, digits, exit_code, say, stop_on_ctrl_c, written,
};

use outside::Outside;
use report::{Inside, Predicted, Report, detections};

// The system's allocator gives every large tensor back to the kernel, and page faults then double the time of a step.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Trains LeNet-5 on some classes of digits and asks it about other images: classes left out, digits turned by a right
/// angle, shuffled pixels, noise.
///
/// A deterministic network, a Bayesian one and a deep ensemble say how unsure they are; AUROC, AUPR and FPR95 say how
/// well that tells foreign images. Without options it learns the 1,797 digits of 8×8 pixels that the program carries;
/// for MNIST, name a folder with its four IDX files; the defaults are then 10 epochs and 128 images a batch.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "ood",
    version,
    args_override_self = true,
    mut_arg("epochs", |arg| arg.default_value("15").default_value_if("data", ArgPredicate::IsPresent, digits::MNIST_EPOCHS)),
    mut_arg("batch_size", |arg| arg.default_value("64").default_value_if("data", ArgPredicate::IsPresent, digits::MNIST_BATCH)),
    mut_arg("lr", |arg| arg.default_value(digits::LEARNING_RATE))
)]
struct Cli {
    /// Folder with MNIST's four IDX files, packed (`.gz`) or not, in place of the shipped digits.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Train on the first so many images only.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = at_least::<1>)]
    limit: Option<usize>,

    /// Leave the last so many classes out of the training: 2 are the digits 8 and 9.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 2, value_parser = at_least::<0>)]
    leave_out: usize,

    /// Networks of the ensemble; the first is the deterministic one.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 5, value_parser = at_least::<2>)]
    members: usize,

    /// Weight of the KL, relative to the ELBO's own [default: 0.1 with `--data`, 0.03 for the shipped digits].
    #[arg(long, value_name = "BETA", allow_negative_numbers = true, value_parser = not_negative)]
    beta: Option<f64>,

    /// How the layers are sampled in training.
    #[arg(long, value_enum, default_value_t = digits::ESTIMATOR)]
    estimator: EstimatorChoice,

    #[command(flatten)]
    training: TrainingArgs,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    exit_code("ood", run(&cli))
}

fn run(cli: &Cli) -> Result<String, RunError> {
    let mut data = digits::load(cli.data.as_deref())?;
    if let Some(limit) = cli.limit {
        data = data.first(limit);
    }
    let (data, foreign) = outside::leave_out(data, cli.leave_out)?;
    let mut elsewhere: Vec<Outside> = foreign.into_iter().collect();
    elsewhere.extend(outside::made_of(&data.test, cli.training.seed));

    let start = Instant::now();
    let device = cli.training.run.device()?;
    let seed = cli.training.seed;
    let bayesian = lenet(cli, &data, seed, &device);
    cli.training
        .check_draws(numbers_of_a_draw(&bayesian, &data))?;
    let folder = cli.training.run.folder("ood")?;
    let interrupter = stop_on_ctrl_c()?;
    let beta = digits::beta(cli.beta, cli.data.as_deref());
    let settings = cli.training.settings(beta);
    let fit = |network: LeNet, seed: u64, name: &str| -> Result<LeNet, RunError> {
        say!("{name}");
        let mut settings = settings.clone();
        settings.seed = seed;
        let path = folder.join(name);
        let (model, _) = train(network, &data, &settings, &device, &path, &interrupter)?;
        Ok(model.network)
    };
    let bayesian = fit(bayesian, seed, "bayesian")?;
    let members = (0..cli.members as u64).map(|member| {
        let seed = seed.wrapping_add(1000 * member);
        let network = lenet(cli, &data, seed, &device).mean_network();
        fit(network, seed, &format!("member-{member}"))
    });
    let members = members.collect::<Result<Vec<_>, _>>()?;
    let seconds = start.elapsed().as_secs_f64();

    let ensemble = Ensemble::new(members);
    let draws = cli.training.predict_samples;
    let sets = (&data, elsewhere.as_slice(), &device);
    let models = [
        // Draw 0 of an ensemble is its first member.
        predicted("deterministic", &ensemble, 1, sets)?,
        predicted("Bayesian", &Ensemble::new(vec![bayesian]), draws, sets)?,
        predicted("ensemble", &ensemble, cli.members, sets)?,
    ];
    let mut left_out = Vec::new();
    let plot = written(folder.join("entropies.png"), seed, &mut left_out, |path| {
        plot::entropies(path, &models)
    });

    let labels = data.test.labels();
    let sets = 0..elsewhere.len();
    let detection =
        sets.flat_map(|set| models.iter().flat_map(move |model| detections(model, set)));
    let report = Report {
        data: data.name.clone(),
        train_images: data.train.len(),
        test_images: data.test.len(),
        epochs: settings.epochs,
        seconds,
        inside: models
            .iter()
            .map(|model| Inside {
                model: model.model,
                scores: Scores::of(&model.inside, &labels),
            })
            .collect(),
        detection: detection.collect(),
        plot,
        left_out,
    };
    Ok(cli.training.run.present(&report))
}

/// A Bayesian LeNet-5 with the settings that `mnist` chose on images held out of the training.
fn lenet(cli: &Cli, data: &Data, seed: u64, device: &Device) -> LeNet {
    let device = device.clone().autodiff();
    device.seed(seed);
    LeNetConfig::new(data.classes.len())
        .with_posterior(PosteriorConfig::normal(digits::INITIAL_STD))
        .with_prior(PriorConfig::learned_normal(0.1))
        .with_estimator(cli.estimator.into())
        .init(&device)
}

fn predicted<N: Classifier>(
    model: &'static str,
    posterior: &impl NetworkPosterior<N>,
    draws: usize,
    (data, elsewhere, device): (&Data, &[Outside], &Device),
) -> Result<Predicted, RunError> {
    let predictor = predictor(posterior, data, draws);
    let outside = elsewhere
        .iter()
        .map(|set| {
            let predicted = predict_images(&predictor, data, &set.images, device)?;
            Ok((set.name, predicted))
        })
        .collect::<Result<Vec<_>, RunError>>()?;
    Ok(Predicted {
        model,
        inside: predict_images(&predictor, data, &data.test, device)?,
        outside,
    })
}
