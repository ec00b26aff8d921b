//! Draws that are not of weights with posteriors: masks of Monte Carlo dropout, and networks of SWAG.

use blitz_train::SwagConfig;
use blitz_train::prelude::*;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use crate::devices::{others, product_tolerance};
use crate::step::{ramp, values};

#[test]
fn masks_of_dropout_are_the_same_on_every_device() {
    let dropped = |device: &Device| {
        let dropout = McDropoutConfig::new(0.3).init();
        let x = ramp([9, 50], device, |i| 1.0 + i);
        dropout.with_draw(5, 2, |dropout| values(dropout.forward(x)))
    };
    let expected = dropped(&Device::flex());
    assert!(expected.contains(&0.0));
    for device in others() {
        let got = dropped(&device);
        for (got, expected) in got.iter().zip(&expected) {
            assert!((got - expected).abs() <= 1e-6 * expected, "{device:?}");
        }
    }
}

#[test]
fn networks_of_swag_are_the_same_on_every_device() {
    let drawn = |device: &Device| {
        let device = device.clone().autodiff();
        let network = |step: u8| {
            let scale = 1.0 + 0.1 * f32::from(step);
            let layer: Linear = LinearConfig::new(5, 33).init(&device);
            let weight = layer.weight.map(|weight| {
                let values: Tensor<2> =
                    ramp(weight.dims(), &weight.device(), |i| (scale * i).sin());
                values.set_require_grad(true)
            });
            Linear { weight, bias: None }
        };
        let mut swag = SwagConfig::new().with_rank(3).init(&network(0));
        for step in 1..5 {
            swag.collect(&network(step)).unwrap();
        }
        values(swag.sample_network(7, 1).weight.val())
    };
    let expected = drawn(&Device::flex());
    for device in others() {
        for (got, expected) in drawn(&device).iter().zip(&expected) {
            assert!(
                f64::from((got - expected).abs()) <= product_tolerance(&device),
                "{device:?}: {got} {expected}"
            );
        }
    }
}
