//! A Bayesian VGG network on CIFAR-10, beside its deterministic twin.

mod cli;

use std::process::ExitCode;

use blitz_train::blitz_layers::models::VggConfig;
use blitz_train::prelude::*;
use clap::Parser;
use example_support::classification::Data;
use example_support::comparison::Study;
use example_support::{RunError, check_layers, cifar, exit_code, stop_on_ctrl_c};

use cli::{Cli, Depth};

// The system's allocator gives every large tensor back to the kernel, and page faults then double the time of a step.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Images of the stand-in to train and to test on.
const STAND_IN: [usize; 2] = [600, 200];

fn main() -> ExitCode {
    let cli = Cli::parse();
    exit_code("vgg-cifar10", run(&cli))
}

fn run(cli: &Cli) -> Result<String, RunError> {
    let mut data: Data = match &cli.data {
        Some(folder) => cifar::read(folder)?,
        None => cifar::stand_in(STAND_IN[0], STAND_IN[1], cli.training.seed)?,
    };
    if let Some(limit) = cli.limit {
        data = data.first(limit);
    }
    check_layers(layers(cli, data.classes.len())).map_err(RunError::Setting)?;
    cli.training.check_draws(data.logits())?;
    let settings = cli.training.settings(cli.beta);
    let device = cli.training.run.device()?;
    let folder = cli.training.run.folder("vgg-cifar10")?;
    let interrupter = stop_on_ctrl_c()?;
    let study = Study {
        data: &data,
        settings: &settings,
        predict_samples: cli.training.predict_samples,
        device,
        folder: &folder,
        interrupter: &interrupter,
    };
    let config = config(cli, data.classes.len());
    let (_, comparison) = study.run(|device| config.init(device))?;
    Ok(cli.training.run.present(&comparison))
}

/// The inputs and outputs of each layer, of a convolution for each of its nine places.
fn layers(cli: &Cli, classes: usize) -> Vec<[usize; 2]> {
    let convolutions = match cli.net {
        Depth::Vgg11 => [1, 1, 2, 2, 2],
        Depth::Vgg13 => [2, 2, 2, 2, 2],
        Depth::Vgg16 => [2, 2, 3, 3, 3],
        Depth::Vgg19 => [2, 2, 4, 4, 4],
    };
    let mut channels = 3;
    let mut layers = Vec::new();
    for (times, count) in [1, 2, 4, 8, 8].into_iter().zip(convolutions) {
        for _ in 0..count {
            layers.push([9 * channels, times * cli.width]);
            channels = times * cli.width;
        }
    }
    layers.extend([
        [channels, cli.hidden],
        [cli.hidden; 2],
        [cli.hidden, classes],
    ]);
    layers
}

fn config(cli: &Cli, classes: usize) -> VggConfig {
    let config = match cli.net {
        Depth::Vgg11 => VggConfig::vgg11(classes),
        Depth::Vgg13 => VggConfig::vgg13(classes),
        Depth::Vgg16 => VggConfig::vgg16(classes),
        Depth::Vgg19 => VggConfig::vgg19(classes),
    };
    // Images of 32×32 leave one position behind the five poolings. The posterior does what dropout is for.
    config
        .with_batch_norm(!cli.no_batch_norm)
        .with_width(cli.width)
        .with_hidden(cli.hidden)
        .with_pooled_size(1)
        .with_dropout(0.0)
        .with_posterior(PosteriorConfig::normal(cli.initial_std))
        .with_prior(PriorConfig::normal(cli.prior_std))
        .with_estimator(cli.estimator.into())
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn the_layers_have_the_weights_of_the_network() {
        for net in ["vgg11", "vgg13", "vgg16", "vgg19"] {
            let cli =
                Cli::parse_from(["vgg-cifar10", "--net", net, "--width", "2", "--hidden", "3"]);
            let network = config(&cli, 4).init(&Device::flex());
            let layers = layers(&cli, 4);
            // Each output has a bias as well.
            let weights: usize = layers
                .iter()
                .map(|[inputs, outputs]| (inputs + 1) * outputs)
                .sum();
            assert_eq!(network.num_bayesian_weights(), weights, "{net}");
        }
    }
}
