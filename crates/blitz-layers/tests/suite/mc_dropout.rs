//! Monte Carlo dropout.

use blitz_core::LayerNoise;
use blitz_layers::prelude::*;
use burn::module::{Module, ParamGroup};
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use crate::seeded::{normals, seeded};
use crate::statistics::{GATE, values};

const P: f64 = 0.3;

#[derive(Module, Debug)]
struct Net {
    first: McDropout,
    hidden: Linear,
    second: McDropout,
}

impl Net {
    fn new(device: &Device) -> Self {
        let hidden = LinearConfig::new(6, 6).init(device);
        Self {
            first: McDropoutConfig::new(P).init(),
            hidden: seeded(hidden, 1),
            second: McDropoutConfig::new(0.5).init(),
        }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let x = self.hidden.forward(self.first.forward(x));
        self.second.forward(x)
    }
}

fn drawn(net: &Net, index: u64, x: &Tensor<2>) -> Vec<f64> {
    values(net.with_draw(5, index, |net| net.forward(x.clone())))
}

#[test]
fn a_linear_layer_behind_it_has_the_mean_and_variance_of_theory() {
    let device = Device::flex();
    let dropout = McDropoutConfig::new(P).init();
    let (x, w) = (
        normals(1, [2, 50], &device),
        normals::<2>(2, [50, 1], &device),
    );
    let mean = values(x.clone().matmul(w.clone()));
    // Each product w x is multiplied by a Bernoulli(1 − p)/(1 − p), of variance p/(1 − p).
    let squares = (x.clone() * x.clone()).matmul(w.clone() * w.clone());
    let variance = values(squares * (P / (1.0 - P)));

    let n = 20_000;
    let draws: Vec<Vec<f64>> = (0..n)
        .map(|index| {
            dropout.with_draw(3, index, |d| values(d.forward(x.clone()).matmul(w.clone())))
        })
        .collect();
    let n = n as f64;
    let moment = |f: &dyn Fn(&Vec<f64>) -> f64| draws.iter().map(f).sum::<f64>() / n;
    for row in 0..2 {
        let off = (moment(&|y| y[row]) - mean[row]) / (variance[row] / n).sqrt();
        assert!(off.abs() < GATE, "mean of row {row}: {off} standard errors");
        let fourth = moment(&|y| (y[row] - mean[row]).powi(4));
        let error = ((fourth - variance[row].powi(2)) / n).sqrt();
        let off = (moment(&|y| (y[row] - mean[row]).powi(2)) - variance[row]) / error;
        assert!(
            off.abs() < GATE,
            "variance of row {row}: {off} standard errors"
        );
    }
    // Rows have masks of their own.
    let covariance = moment(&|y| (y[0] - mean[0]) * (y[1] - mean[1]));
    let off = covariance / (variance[0] * variance[1] / n).sqrt();
    assert!(
        off.abs() < GATE,
        "covariance of rows: {off} standard errors"
    );
}

#[test]
fn the_gradient_is_the_mask() {
    let device = Device::flex().autodiff();
    let dropout = McDropoutConfig::new(P).init();
    let x = normals::<2>(1, [4, 5], &device).require_grad();
    let y = dropout.with_draw(1, 0, |d| d.forward(x.clone()));
    let gradient = values(x.grad(&y.clone().sum().backward()).unwrap());
    let (x, y) = (values(x), values(y));
    let mut kept = 0;
    for ((x, y), gradient) in x.iter().zip(y).zip(gradient) {
        assert!(gradient == 0.0 || (gradient - 1.0 / (1.0 - P)).abs() < 1e-6);
        assert!((y - x * gradient).abs() < 1e-6);
        kept += usize::from(gradient != 0.0);
    }
    assert!((1..20).contains(&kept));
}

#[test]
fn a_draw_is_the_same_without_autodiff_on_another_backend_and_in_another_thread() {
    let net = Net::new(&Device::flex().autodiff());
    let x = normals(3, [7, 6], &Device::flex());
    let expected = drawn(&net.valid(), 4, &x);
    assert_ne!(expected, drawn(&net.valid(), 5, &x));
    let on_autodiff = Tensor::from_inner(x.clone());
    assert_eq!(expected, drawn(&net, 4, &on_autodiff));
    let (other, there) = (net.valid(), x.clone());
    let thread = std::thread::spawn(move || drawn(&other, 4, &there));
    assert_eq!(expected, thread.join().unwrap());
    // Another copy of the model, in which the layers have other identities.
    let twin = Net::new(&Device::flex());
    assert_eq!(expected, drawn(&twin, 4, &x));
    #[allow(deprecated)] // ndarray stays supported here.
    let device = Device::ndarray();
    let ndarray = Net::new(&device);
    let elsewhere = drawn(&ndarray, 4, &normals(3, [7, 6], &device));
    let off = expected.iter().zip(elsewhere).map(|(a, b)| (a - b).abs());
    assert!(off.fold(0.0, f64::max) < 1e-5);
}

#[test]
fn a_drawn_network_has_the_masks_of_its_draw() {
    let device = Device::flex();
    let net = Net::new(&device).bayesianize(&BayesianizeConfig::new());
    let x = normals(3, [7, 6], &device);
    let network = net.sample_network(5, 2);
    assert_eq!(drawn(&net, 2, &x), drawn(&network, 2, &x));
}

#[test]
fn layers_calls_and_elements_have_masks_of_their_own() {
    let dropout = [(); 2].map(|()| McDropoutConfig::new(0.5).init());
    let x = Tensor::<2>::ones([64, 64], &Device::flex());
    let _draw = Draw::anonymous(1, 0);
    let masks = [&dropout[0], &dropout[1], &dropout[0]].map(|d| values(d.forward(x.clone())));
    // Independent masks agree at half of the 4096 places, with a standard error of 32.
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        let agree = masks[a].iter().zip(&masks[b]).filter(|(a, b)| a == b);
        let off = (agree.count() as f64 - 2048.0) / 32.0;
        assert!(off.abs() < GATE, "masks {a} and {b}: {off} standard errors");
    }
}

#[test]
fn shared_axes_share_one_mask() {
    let device = Device::flex();
    let x = Tensor::<3>::ones([8, 5, 16], &device);
    let dropout = McDropoutConfig::new(0.5).with_shared_axes(vec![1]).init();
    let y = dropout.forward(x.clone());
    let first = y.clone().slice([0..8, 0..1, 0..16]);
    assert_eq!(values(first.repeat_dim(1, 5)), values(y.clone()));
    // And no more than that axis.
    assert_ne!(
        values(y.clone().slice([0..1, 0..1, 0..16])),
        values(y.slice([1..2, 0..1, 0..16]))
    );
    assert_eq!(
        dropout.to_string(),
        "McDropout {prob: 0.5, shared_axes: [1]}"
    );
}

#[test]
fn a_row_of_a_prediction_does_not_depend_on_its_batch() {
    let device = Device::flex();
    let net = Net::new(&device).bayesianize(&BayesianizeConfig::new());
    let x = normals(3, [7, 6], &device);
    for index in 0..3 {
        let predicted = |rows: std::ops::Range<usize>| {
            let _draw = net.draw(5, index).with_shared_weights();
            values(net.forward(x.clone().slice([rows])))
        };
        let all = predicted(0..7);
        assert_eq!(predicted(2..3), all[2 * 6..3 * 6]);
        assert_eq!(predicted(3..7), all[3 * 6..]);
    }
    // In training each row has a mask of its own; a lone axis is no batch.
    let ones = Tensor::<2>::ones([2, 64], &device);
    let rows = values(
        net.first
            .with_draw(5, 0, |first| first.forward(ones.clone())),
    );
    assert_ne!(rows[..64], rows[64..]);
    let _draw = net.draw(5, 0).with_shared_weights();
    let lone = values(net.first.forward(Tensor::<1>::ones([64], &device)));
    assert!(lone.contains(&0.0) && lone.iter().any(|y| *y > 0.0));
}

#[test]
fn the_mean_mode_and_a_freeze_return_the_input() {
    let device = Device::flex();
    let net = Net::new(&device);
    let x = normals(3, [7, 6], &device);
    let mean = values(net.hidden.forward(x.clone()));
    assert_eq!(mean, values(net.with_mean(|net| net.forward(x.clone()))));
    let frozen = net.clone().freeze_sampling();
    assert_eq!(mean, drawn(&frozen, 0, &x));
    assert_eq!(
        drawn(&net, 1, &x),
        drawn(&frozen.unfreeze_sampling(), 1, &x)
    );

    let second = net
        .clone()
        .freeze_sampling_group(ParamGroup::from_path("second"));
    assert!(!second.second.is_sampling() && second.first.is_sampling());
    let (x, first) = (
        x.clone(),
        second.with_draw(5, 0, |net| net.first.forward(x)),
    );
    assert_eq!(
        values(net.hidden.forward(first)),
        drawn(&second, 0, &normals(3, [7, 6], &device))
    );
    drop(x);
}

#[test]
fn clones_of_a_layer_are_frozen_each_by_itself() {
    let dropout = McDropoutConfig::new(0.5).init();
    let both = [dropout.clone(), dropout];
    let first = both.freeze_sampling_group(ParamGroup::from_path("0"));
    assert!(!first[0].is_sampling() && first[1].is_sampling());
    let neither = first.unfreeze_sampling_group(ParamGroup::from_path("0"));
    assert!(neither.iter().all(McDropout::is_sampling));
}

/// Whose field has the name that the noise has in a layer.
#[test]
fn flags_of_other_layers_stay_as_they_are() {
    #[derive(Module, Debug)]
    struct Block {
        noise: LayerNoise,
        dropout: Dropout,
    }

    let block = Block {
        noise: LayerNoise::new(),
        dropout: DropoutConfig::new(0.5).init(),
    };
    let device = Device::flex().autodiff();
    let dropped = |block: &Block| {
        let x = Tensor::<2>::ones([1, 64], &device);
        values(block.dropout.forward(x)).contains(&0.0)
    };
    assert!(dropped(&block) && dropped(&block.clone().freeze_sampling()));
}

#[test]
fn it_has_no_kl_and_no_part_in_a_record() {
    let device = Device::flex();
    let net = Net::new(&device);
    assert_eq!(net.kl_cost().into_scalar::<f32>(), 0.0);
    assert_eq!(net.num_bayesian_weights(), 0);
    // As for weights: what a record is loaded into stays as it was configured.
    let frozen = Net::new(&device).freeze_sampling();
    let loaded = frozen.load_record(net.into_record());
    assert!(!loaded.first.is_sampling() && !loaded.second.is_sampling());
}

#[test]
#[should_panic(expected = "a dropout probability lies in [0, 1), got 1")]
fn a_probability_of_one_is_refused() {
    let _ = McDropoutConfig::new(1.0).init();
}

#[test]
#[should_panic(expected = "a dropout mask is shared along axis 2, the input has 2 axes")]
fn an_axis_that_is_not_there_is_refused() {
    let dropout = McDropoutConfig::new(0.1).with_shared_axes(vec![2]).init();
    dropout.forward(Tensor::<2>::ones([2, 2], &Device::flex()));
}
