//! Burn's Fusion plans what it has not met before, which takes longer than to compute it: draws and steps have to look
//! alike to it. What it plans is in its log, which a process asks for in its environment: this very program, told to
//! run one of the others alone.

use std::process::Command;

use blitz_train::prelude::*;
use blitz_train::{Ivon, IvonConfig, predict_draws};
use burn::nn::{Linear, LinearConfig};
use burn::optim::GradientsParams;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use crate::devices::others_with_products;

/// Where the log has to be empty from.
const KNOWN: &str = "everything has been planned";

/// What a process says that has no device to record for.
const NO_DEVICE: &str = "no device that Fusion records for";

/// The children take the first device that Fusion records for.
fn device() -> Option<Device> {
    let names = ["Flex", "NdArray"];
    let is_recorded = |device: &Device| names.iter().all(|n| !format!("{device:?}").contains(n));
    let device = others_with_products().into_iter().find(is_recorded);
    if device.is_none() {
        eprintln!("{NO_DEVICE}");
    }
    device
}

fn network(device: &Device) -> [Linear; 3] {
    [(12, 9), (9, 7), (7, 5)]
        .map(|(inputs, outputs)| LinearConfig::new(inputs, outputs).init(device))
}

fn forward([a, b, c]: &[Linear; 3], x: Tensor<2>) -> Tensor<2> {
    c.forward(relu(b.forward(relu(a.forward(x)))))
}

/// Runs something a few times, the last of which has to need no plan.
fn again_and_again(mut run: impl FnMut()) {
    for time in 0..6 {
        if time == 5 {
            eprintln!("{KNOWN}");
        }
        run();
    }
}

fn plans_of_the_last(test: &str) -> usize {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--ignored", "--exact", test, "--nocapture"])
        .env("BURN_FUSION_LOG", "basic");
    let output = child.output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    if log.contains(NO_DEVICE) {
        return 0;
    }
    let (before, after) = log.split_once(KNOWN).unwrap_or_else(|| panic!("{log}"));
    let plans = |log: &str| log.lines().filter(|line| line.contains("strategy")).count();
    assert!(plans(before) > 0, "there is no log: {log}");
    plans(after)
}

#[test]
#[ignore = "another test runs it, in a process with a log"]
fn predicts() {
    let Some(device) = device() else { return };
    let net = network(&device).bayesianize(&BayesianizeConfig::new());
    let x = Tensor::<2>::ones([4, 12], &device);
    again_and_again(|| {
        let outputs = predict_draws(&net, 20, 7, |net| forward(net, x.clone()));
        let sum = outputs.into_iter().reduce(|sum, output| sum + output);
        sum.unwrap().into_data();
    });
}

/// Four steps at a time.
fn train(net: [Linear; 3], mut step: impl FnMut([Linear; 3], GradientsParams) -> [Linear; 3]) {
    let elbo = ElboConfig::new(100).init();
    let x = Tensor::<2>::ones([4, 12], &net[0].weight.device());
    let (mut net, mut steps) = (Some(net), 0..);
    again_and_again(|| {
        for index in steps.by_ref().take(4) {
            let old = net.take().unwrap();
            let loss = elbo.loss(&old, u64::into(index), |net| {
                forward(net, x.clone()).square().mean_dim(1).squeeze_dim(1)
            });
            let grads = GradientsParams::from_grads(loss.loss.backward(), &old);
            net = Some(step(old, grads));
        }
        net.as_ref().unwrap()[0].weight.val().into_data();
    });
}

#[test]
#[ignore = "another test runs it, in a process with a log"]
fn steps_of_ivon() {
    let Some(device) = device() else { return };
    let device = device.autodiff();
    let net = IvonConfig::new(100.0).attach(network(&device));
    train(net, |net, mut grads| Ivon::step(0.1, net, &mut grads));
}

#[test]
#[ignore = "another test runs it, in a process with a log"]
fn steps_of_adam() {
    let Some(device) = device() else { return };
    let device = device.autodiff();
    let mut adam = FusedAdamConfig::new().init();
    let net = network(&device).bayesianize(&BayesianizeConfig::new());
    train(net, |net, grads| adam.step(0.1, net, grads));
}

/// One process after the other: they share a graphics adapter.
#[test]
fn what_has_been_met_is_not_planned_again() {
    for test in ["predicts", "steps_of_ivon", "steps_of_adam"] {
        assert_eq!(plans_of_the_last(&format!("plans::{test}")), 0, "{test}");
    }
}
