//! Classifiers of MNIST's images.

use std::error::Error;

use blitz_benches::{Input, Layers, Net};
use blitz_train::prelude::*;
use blitz_train::{FusedAdamConfig, Link, MomentsPredictorConfig, predict_draws};
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use example_support::classification::Data;
use example_support::images::Images;

use crate::compare::{Distance, distance};

const BATCH: usize = 128;

/// What a network takes of images of 28 × 28.
type Shape = fn(Tensor<2>) -> Input;

fn rows(pixels: Tensor<2>) -> Input {
    Input::Rows(pixels)
}

fn images(pixels: Tensor<2>) -> Input {
    let [count, _] = pixels.dims();
    Input::Images(pixels.reshape([count, 1, 28, 28]))
}

/// Prints a table for both networks.
pub fn report(data: &Data, draws: usize, test: usize, epochs: usize) -> Result<(), Box<dyn Error>> {
    println!("MNIST, {epochs} epochs; {draws} draws, the first {test} test images\n");
    println!(
        "| network | error of the mean / σ | σ, propagated / drawn | largest of 90 % | | NLL | ECE | accuracy | mutual information |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let device = Device::flex().autodiff();
    let layers = Layers::Bayesian(Estimator::SharedWeights);
    device.seed(1);
    let mlp = Net::mlp(&[784, 400, 400, 10], layers, &device);
    let lenet = Net::lenet(layers, &device);
    let networks: [(&str, Net, Shape); 2] =
        [("784-400-400-10", mlp, rows), ("LeNet-5", lenet, images)];
    for (name, net, shape) in networks {
        let net = train(net, &data.train, shape, epochs);
        let input = shape(pixels(&data.test, 0, test, &Device::flex()));
        compare(name, &net, input, &data.test.labels()[..test], draws)?;
    }
    println!();
    Ok(())
}

/// Images from `first` on, each a row, from 0 to 1.
fn pixels(images: &Images, first: usize, count: usize, device: &Device) -> Tensor<2> {
    let size = 28 * 28;
    let bytes = &images.pixels[first * size..(first + count) * size];
    let values: Vec<f32> = bytes.iter().map(|byte| f32::from(*byte) / 255.0).collect();
    Tensor::from_data(TensorData::new(values, [count, size]), device)
}

fn train(mut net: Net, train: &Images, shape: Shape, epochs: usize) -> Net {
    let device = Device::flex().autodiff();
    let likelihood = CategoricalLikelihoodConfig::new(10).init();
    let elbo = ElboConfig::new(train.len()).with_samples(1).init();
    let mut adam = FusedAdamConfig::new().init();
    let batches = train.len() / BATCH;
    for step in 0..epochs * batches {
        let first = step % batches * BATCH;
        let x = shape(pixels(train, first, BATCH, &device));
        let labels: Vec<i64> = train.labels[first..first + BATCH]
            .iter()
            .map(|label| i64::from(*label))
            .collect();
        let y = Tensor::<1, Int>::from_data(TensorData::new(labels, [BATCH]), &device);
        let nll = |net: &Net| likelihood.nll(net.forward(&x), y.clone());
        let grads = elbo.loss(&net, (step as u64).into(), nll).loss.backward();
        let grads = GradientsParams::from_grads(grads, &net);
        net = adam.step(1e-3, net, grads);
    }
    net.valid()
}

fn compare(
    name: &str,
    net: &Net,
    input: Input,
    labels: &[usize],
    draws: usize,
) -> Result<(), Box<dyn Error>> {
    let likelihood = CategoricalLikelihoodConfig::new(10).init();
    let predictor = MomentsPredictorConfig::new().init(net, &likelihood);
    let outputs = predict_draws(net, draws, 1, |net| net.forward(&input));
    let distance_of = |distance: Distance| {
        let Distance { mean, std, off } = distance;
        format!("{mean:.3} | {std:.3} | {off:.3}")
    };
    let nothing = || " | | ".to_string();
    let mut ways = vec![
        (
            "one pass, quantiles",
            distance_of(distance(&predictor.moments(input.clone())?, &outputs)),
            predictor.predict(input.clone())?,
        ),
        (
            "one pass, probit",
            nothing(),
            predictor.predict_linked(input.clone(), Link::Probit)?,
        ),
    ];
    if let Input::Rows(rows) = input {
        let predictor = predictor.with_covariances();
        ways.push((
            "with covariances, quantiles",
            distance_of(distance(&predictor.moments(rows.clone())?, &outputs)),
            predictor.predict(rows.clone())?,
        ));
        ways.push((
            "with covariances, probit",
            nothing(),
            predictor.predict_linked(rows, Link::Probit)?,
        ));
    }
    let hundred = outputs[..outputs.len().min(100)].to_vec();
    ways.push(("100 draws", nothing(), likelihood.try_predictive(hundred)?));
    let all = format!("{draws} draws");
    ways.push((&all, nothing(), likelihood.try_predictive(outputs)?));
    let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
    for (way, of_moments, predictive) in ways {
        println!(
            "| {name} | {of_moments} | {way} | {:.4} | {:.4} | {:.3} | {:.4} |",
            mean(predictive.nll(labels)),
            predictive.ece(labels),
            predictive.accuracy(labels),
            mean(predictive.mutual_information())
        );
    }
    Ok(())
}
