//! Milliseconds of a pass of moments, of a deterministic pass and of draws.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use blitz_benches::{Input, Layers, Net, median};
use blitz_train::MomentsPredictorConfig;
use blitz_train::prelude::*;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

/// The draws that a pass of moments stands for.
const DRAWS: usize = 100;

/// Prints a table for both networks and some sizes of a batch.
pub fn report(rounds: usize) -> Result<(), Box<dyn Error>> {
    println!("medians of {rounds} rounds in which all take turns, ms\n");
    println!(
        "| network | batch | one deterministic pass | moments | … and predictions | predictions with covariances | {DRAWS} kept draws | moments / deterministic | {DRAWS} draws / moments |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let device = Device::flex();
    let layers = Layers::Bayesian(Estimator::SharedWeights);
    for batch in [1, 16, 256] {
        let input = Input::Rows(Tensor::ones([batch, 784], &device));
        row(
            "784-400-400-10",
            Net::mlp(&[784, 400, 400, 10], layers, &device),
            input,
            rounds,
        )?;
    }
    for batch in [1, 16, 256] {
        let input = Input::Images(Tensor::ones([batch, 1, 28, 28], &device));
        row("LeNet-5", Net::lenet(layers, &device), input, rounds)?;
    }
    println!();
    Ok(())
}

fn row(name: &str, net: Net, input: Input, rounds: usize) -> Result<(), Box<dyn Error>> {
    let likelihood = CategoricalLikelihoodConfig::new(10).init();
    // As a program would run it that needs no uncertainty.
    let deterministic = net.mean_network().no_grad();
    let moments = MomentsPredictorConfig::new().init(&net, &likelihood);
    let together = MomentsPredictorConfig::new()
        .init(&net, &likelihood)
        .with_covariances();
    let draws = PredictorConfig::new(DRAWS).init(&net, &likelihood);
    let batch = match &input {
        Input::Rows(x) => x.dims()[0],
        Input::Images(x) => x.dims()[0],
        Input::Sequences(x) => x.dims()[0],
    };
    let read = |tensor: Tensor<2>| {
        black_box(tensor.into_data());
    };
    let mut times: [Vec<f64>; 5] = Default::default();
    for round in 0..rounds + 1 {
        let starts = Instant::now();
        read(deterministic.forward(&input));
        let one = starts.elapsed();
        let starts = Instant::now();
        let output = moments.moments(input.clone())?;
        read(output.variance());
        read(output.mean);
        let propagated = starts.elapsed();
        let starts = Instant::now();
        black_box(moments.predict(input.clone())?.mutual_information());
        let predicted = starts.elapsed();
        let starts = Instant::now();
        if let Input::Rows(x) = &input {
            black_box(together.predict(x.clone())?.mutual_information());
        }
        let joint = starts.elapsed();
        let starts = Instant::now();
        black_box(draws.predict(input.clone())?.mutual_information());
        let drawn = starts.elapsed();
        // The first round keeps the moments of the weights.
        if round > 0 {
            let all = [one, propagated, predicted, joint, drawn];
            for (times, time) in times.iter_mut().zip(all) {
                times.push(1e3 * time.as_secs_f64());
            }
        }
    }
    let [one, propagated, predicted, joint, drawn] = times.map(|times| median(&times));
    let joint = match &input {
        Input::Rows(_) => format!("{joint:.2}"),
        _ => String::new(),
    };
    println!(
        "| {name} | {batch} | {one:.2} | {propagated:.2} | {predicted:.2} | {joint} | {drawn:.1} | {:.1} | {:.0} |",
        propagated / one,
        drawn / predicted
    );
    Ok(())
}
