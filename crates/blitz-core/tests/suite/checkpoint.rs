//! Trained weights from Burn's records, safetensors and PyTorch, made Bayesian by MOPED or loaded into the means.
//!
//! checkpoint.py made the files of `data/`, and printed the numbers here.

use std::convert::Infallible;
use std::path::PathBuf;

use blitz_core::prelude::*;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::store::{
    ModuleSnapshot, PyTorchToBurnAdapter, PytorchStore, PytorchStoreError, SafetensorsStore,
};
use burn::tensor::{Device, Tensor};

use crate::net::{Net, values};

const OUTPUT: [f32; 4] = [0.27326924, -0.18154739, 0.27648914, 0.16314787];

fn data(name: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/data");
    PathBuf::from(folder).join(name)
}

fn pytorch() -> PytorchStore {
    PytorchStore::from_file(data("net.pt"))
}

fn safetensors() -> SafetensorsStore {
    SafetensorsStore::from_file(data("net.safetensors")).with_from_adapter(PyTorchToBurnAdapter)
}

fn output(net: &Net) -> Vec<f32> {
    let x = [[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]];
    values(net.forward(Tensor::<2>::from_floats(x, &Device::flex())))
}

fn assert_is_pytorchs(output: &[f32]) {
    for (value, expected) in output.iter().zip(OUTPUT) {
        assert!((value - expected).abs() < 1e-6, "{output:?} for {OUTPUT:?}");
    }
}

/// A Bayesian network around the checkpoint: its mean network is PyTorch's, and it samples.
fn assert_is_moped(trained: Net) {
    assert_is_pytorchs(&output(&trained));
    let net = trained.moped(&MopedConfig::new());
    assert_is_pytorchs(&output(&net.mean_network()));
    let drawn = net.with_draw(1, 0, output);
    assert_ne!(drawn, OUTPUT);
    let far = drawn
        .iter()
        .zip(OUTPUT)
        .any(|(drawn, mean)| (drawn - mean).abs() > 1.0);
    assert!(!far, "{drawn:?} with deviations of a tenth of the weights");
    assert_eq!(net.num_bayesian_weights(), 15 + 5 + 5 + 5 + 10);
}

#[test]
fn moped_starts_from_a_pytorch_checkpoint() {
    let mut net = Net::plain(&Device::flex());
    net.load_from(&mut pytorch()).unwrap();
    assert_is_moped(net);
}

#[test]
fn moped_starts_from_a_safetensors_file_of_pytorchs() {
    let mut net = Net::plain(&Device::flex());
    net.load_from(&mut safetensors()).unwrap();
    assert_is_moped(net);
}

#[test]
fn moped_starts_from_a_burn_record() {
    let mut trained = Net::plain(&Device::flex());
    trained.load_from(&mut pytorch()).unwrap();
    let file = std::env::temp_dir().join(format!("blitz-moped-{}.bpk", std::process::id()));
    trained.save_file(&file).unwrap();
    assert_is_moped(Net::plain(&Device::flex()).load_file(&file));
    // Burn reads the file when a weight is first used, not when it is loaded.
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn checkpoints_load_into_the_means_of_a_bayesian_network() {
    let device = Device::flex();
    let load = |store: &mut PytorchStore| {
        Net::bayesian(&device).map_means(|mut means| {
            means.load_from(store)?;
            Ok::<_, PytorchStoreError>(means)
        })
    };
    let net = load(&mut pytorch()).unwrap();
    assert_is_pytorchs(&output(&net.mean_network()));
    assert_eq!(net.num_bayesian_weights(), 40);
    assert_ne!(net.with_draw(1, 0, output), net.with_draw(1, 1, output));

    // Burn's own way passes over all that is missing, so it has to be looked through.
    let mut net = Net::bayesian(&device);
    let result = net.load_from(&mut pytorch().allow_partial(true)).unwrap();
    assert_is_pytorchs(&output(&net.mean_network()));
    // For each of 5 weights its ρ, and the constants of its posterior and its prior.
    let constants = |path: &str| path.contains(".bayes.constants.");
    let missing = result.missing.iter().map(|(path, _)| path);
    let (constants, others): (Vec<_>, Vec<_>) = missing.partition(|path| constants(path));
    assert_eq!((constants.len(), others.len()), (10, 5));
    assert!(
        result
            .missing
            .iter()
            .all(|(path, _)| path.contains(".bayes."))
    );
    let mut net = Net::bayesian(&device);
    net.load_from(&mut safetensors().allow_partial(true))
        .unwrap();
    assert_is_pytorchs(&output(&net.mean_network()));
    // Without it, a Bayesian network misses its deviations in the checkpoint.
    let error = Net::bayesian(&device)
        .load_from(&mut pytorch())
        .unwrap_err();
    assert!(
        error.to_string().contains("hidden.weight.bayes.posterior"),
        "{error}"
    );
}

#[test]
fn means_keep_their_posteriors_when_they_change() {
    let net = Net::bayesian(&Device::flex());
    let deviation = |net: &Net| {
        let weight = net.with_draw(1, 0, |net| net.output.weight.val());
        values(weight - net.output.weight.base())
    };
    let before = deviation(&net);
    let zeroed = net.map_means(|mut means| {
        let weight = means.output.weight.val().zeros_like();
        means.output.weight = means.output.weight.map(|_| weight);
        Ok::<_, Infallible>(means)
    });
    let zeroed = zeroed.unwrap();
    assert_eq!(values(zeroed.output.weight.base()), [0.0; 10]);
    for (after, before) in deviation(&zeroed).iter().zip(before) {
        assert!((after - before).abs() < 1e-6);
    }
}

#[derive(Module, Debug)]
struct Larger {
    hidden: Linear,
    extra: Linear,
}

#[test]
fn a_missing_tensor_is_an_error_that_names_it() {
    let device = Device::flex();
    let larger = || Larger {
        hidden: LinearConfig::new(3, 5).init(&device),
        extra: LinearConfig::new(5, 5).init(&device),
    };
    let error = larger().load_from(&mut pytorch()).unwrap_err().to_string();
    assert!(error.contains("extra.weight"), "{error}");
    let error = larger()
        .load_from(&mut safetensors())
        .unwrap_err()
        .to_string();
    assert!(error.contains("extra.weight"), "{error}");
    // And so it is in the means of a Bayesian one.
    let net = larger().bayesianize(&BayesianizeConfig::new());
    let error = net.map_means(|mut means| means.load_from(&mut pytorch()).map(|_| means));
    assert!(error.unwrap_err().to_string().contains("extra.weight"));
}

#[test]
fn a_tensor_too_many_is_listed_as_unused_by_the_stores_and_refused_by_records() {
    let device = Device::flex();
    let mut net = Net::plain(&device);
    let result = net.load_from(&mut pytorch()).unwrap();
    assert_eq!(result.unused, ["norm.num_batches_tracked"]);

    let record = Net::plain(&device).into_record();
    let small = LinearConfig::new(3, 5)
        .init(&device)
        .bayesianize(&BayesianizeConfig::new());
    let error = small
        .map_means(|means| means.try_load_record(record))
        .unwrap_err();
    assert!(error.to_string().contains("weight"), "{error}");
}

#[test]
fn a_tensor_of_another_shape_is_an_error_that_names_both() {
    let device = Device::flex();
    let mut net = Net::plain(&device);
    net.output = LinearConfig::new(5, 3).with_bias(false).init(&device);
    let error = net.load_from(&mut pytorch()).unwrap_err().to_string();
    assert!(
        error.contains("output.weight") && error.contains("[5, 2]"),
        "{error}"
    );
}
