//! Regressions of the literature's tables.

use std::error::Error;
use std::path::Path;

use blitz_benches::{Input, Layers, Net};
use blitz_train::prelude::*;
use blitz_train::{FusedAdamConfig, MomentsPredictorConfig, predict_draws};
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use example_support::tabular::{Split, Table, TableFormat};

use crate::compare::distance;

const STEPS: u64 = 4000;

/// Prints a table for both sets and depths.
pub fn report(folder: &Path, draws: usize) -> Result<(), Box<dyn Error>> {
    println!("regression, first split, {STEPS} steps of the whole training set; {draws} draws\n");
    println!(
        "| data | hidden | | error of the mean / σ | σ, propagated / drawn | largest of 90 % | NLL: one pass | 100 draws | {draws} draws |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for name in ["concrete", "yacht"] {
        let table = Table::read(&folder.join(name).join("data.csv"), TableFormat::default())?;
        let split = Split::read(
            &folder.join(name).join("test_splits.txt"),
            0,
            table.n_rows(),
        )?;
        for hidden in [&[50][..], &[50, 50]] {
            row(name, &table, &split, hidden, draws)?;
        }
    }
    println!();
    Ok(())
}

fn row(
    name: &str,
    table: &Table,
    split: &Split,
    hidden: &[usize],
    draws: usize,
) -> Result<(), Box<dyn Error>> {
    let (features, target) = table.standardizers(&split.train)?;
    let width = table.n_features;
    let inputs = |rows: &[usize], device: &Device| {
        let values = features.transform(&table.features_of(rows));
        let data = TensorData::new(values, [rows.len(), width]).convert::<f32>();
        Input::Rows(Tensor::from_data(data, device))
    };
    let device = Device::flex().autodiff();
    device.seed(1);
    let widths = [&[width], hidden, &[1]].concat();
    let mut net = Net::mlp(
        &widths,
        Layers::Bayesian(Estimator::LocalReparameterization),
        &device,
    );
    let mut likelihood = GaussianLikelihoodConfig::new().init(&device);
    let x = inputs(&split.train, &device);
    let y = target.transform(&table.targets_of(&split.train));
    let y = TensorData::new(y, [split.train.len(), 1]).convert::<f32>();
    let y = Tensor::<2>::from_data(y, &device);
    let elbo = ElboConfig::new(split.train.len()).with_samples(1).init();
    let mut adam = FusedAdamConfig::new().init();
    let mut adam_of_noise = FusedAdamConfig::new().init();
    for step in 0..STEPS {
        let nll = |net: &Net| likelihood.nll(net.forward(&x), y.clone());
        let mut grads = elbo.loss(&net, step.into(), nll).loss.backward();
        let of_net = GradientsParams::from_module(&mut grads, &net);
        let of_noise = GradientsParams::from_module(&mut grads, &likelihood);
        net = adam.step(5e-3, net, of_net);
        likelihood = adam_of_noise.step(5e-3, likelihood, of_noise);
    }
    let (net, likelihood) = (net.valid(), likelihood.valid());
    let x = inputs(&split.test, &Device::flex());
    let y = target.transform(&table.targets_of(&split.test));
    let Input::Rows(rows) = x.clone() else {
        unreachable!("a table has rows")
    };
    let predictor = MomentsPredictorConfig::new().init(&net, &likelihood);
    let outputs = predict_draws(&net, draws, 1, |net| net.forward(&x));
    let nll = |predictive: NormalMixture| predictive.nll(&y).iter().sum::<f64>() / y.len() as f64;
    let alone = distance(&predictor.moments(x.clone())?, &outputs);
    let mut ways = vec![("", alone, nll(predictor.predict(x)?))];
    let predictor = predictor.with_covariances();
    let together = distance(&predictor.moments(rows.clone())?, &outputs);
    ways.push(("with covariances", together, nll(predictor.predict(rows)?)));
    let hundred = nll(likelihood.try_predictive(outputs[..outputs.len().min(100)].to_vec())?);
    let all = nll(likelihood.try_predictive(outputs)?);
    for (way, distance, nll) in ways {
        println!(
            "| {name} | {hidden:?} | {way} | {:.3} | {:.3} | {:.3} | {nll:.4} | {hundred:.4} | {all:.4} |",
            distance.mean, distance.std, distance.off,
        );
    }
    Ok(())
}
