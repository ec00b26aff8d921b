//! Every layer in every float type: a draw, a pass forward and one back, with each estimator it has.

use blitz_layers::conv::{
    BayesianConvTranspose1dConfig, BayesianConvTranspose2dConfig, BayesianConvTranspose3dConfig,
};
use blitz_layers::models::LeNetConfig;
use blitz_layers::prelude::*;
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{DType, Device, Gradients, Int, Tensor};

use crate::digest::given;
use crate::statistics::{ESTIMATORS, values};
use crate::types::TYPES;

fn ones<const D: usize>(shape: [usize; D], dtype: DType) -> Tensor<D> {
    Tensor::ones(shape, (&Device::flex().autodiff(), dtype))
}

/// Panics unless every parameter has a gradient of its own type that is finite.
struct Check<'a> {
    grads: &'a Gradients,
    dtype: DType,
    name: &'a str,
    seen: usize,
}

impl ModuleVisitor for Check<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        if !value.is_require_grad() {
            return;
        }
        let Some(gradient) = value.grad(self.grads) else {
            panic!("{}: a parameter has no gradient", self.name);
        };
        assert_eq!(gradient.dtype(), self.dtype, "{}", self.name);
        let gradient = values(gradient);
        assert!(gradient.iter().all(|g| g.is_finite()), "{}", self.name);
        self.seen += 1;
    }
}

/// Runs `forward` in a draw of a layer of `dtype` with given weights, once more for the same draw, and back.
fn check<M: Module, const D: usize>(
    name: &str,
    layer: M,
    dtype: DType,
    forward: impl Fn(&M) -> Tensor<D>,
) {
    let name = format!("{name} in {dtype:?}");
    let layer = given(layer, 0.2, dtype);
    let output = layer.with_draw(3, 1, &forward);
    assert_eq!(output.dtype(), dtype, "{name}");
    let drawn = values(output.clone());
    assert!(drawn.iter().all(|y| y.is_finite()), "{name}: {drawn:?}");
    assert_eq!(drawn, values(layer.with_draw(3, 1, &forward)), "{name}");
    assert_ne!(drawn, values(layer.with_mean(&forward)), "{name}");
    let grads = output.mean().backward();
    let mut check = Check {
        grads: &grads,
        dtype,
        name: &name,
        seen: 0,
    };
    layer.visit(&mut check);
    assert!(check.seen > 0, "{name}: no parameters");
}

/// Calls `check` for a layer with every estimator.
macro_rules! layer {
    ($name:literal, $dtype:ident, $config:expr, $shape:expr) => {
        for estimator in ESTIMATORS {
            let layer = $config
                .with_estimator(estimator)
                .init(&Device::flex().autodiff());
            let name = format!("{} with {estimator:?}", $name);
            check(&name, layer, $dtype, |layer| {
                layer.forward(ones($shape, $dtype))
            });
        }
    };
}

#[test]
fn linear_layers_run_in_every_type() {
    for dtype in TYPES {
        layer!("linear", dtype, BayesianLinearConfig::new(5, 4), [3, 5]);
    }
}

#[test]
fn convolutions_run_in_every_type() {
    for dtype in TYPES {
        layer!(
            "conv1d",
            dtype,
            BayesianConv1dConfig::new(2, 3, 3),
            [2, 2, 6]
        );
        layer!(
            "conv2d",
            dtype,
            BayesianConv2dConfig::new([2, 3], [3, 2]),
            [2, 2, 6, 5]
        );
        layer!(
            "conv3d",
            dtype,
            BayesianConv3dConfig::new([2, 3], [3, 2, 2]),
            [2, 2, 4, 4, 4]
        );
    }
}

#[test]
fn transposed_convolutions_run_in_every_type() {
    for dtype in TYPES {
        layer!(
            "transposed 1d",
            dtype,
            BayesianConvTranspose1dConfig::new([2, 3], 3),
            [2, 2, 6]
        );
        layer!(
            "transposed 2d",
            dtype,
            BayesianConvTranspose2dConfig::new([2, 3], [3, 2]),
            [2, 2, 6, 5]
        );
        layer!(
            "transposed 3d",
            dtype,
            BayesianConvTranspose3dConfig::new([2, 3], [3, 2, 2]),
            [2, 2, 4, 4, 4]
        );
    }
}

#[test]
fn recurrent_layers_run_in_every_type() {
    let device = Device::flex().autodiff();
    // One with weights of its own at each step is refused.
    let estimators = [Estimator::SharedWeights, Estimator::Flipout];
    for dtype in TYPES {
        for estimator in estimators {
            let lstm = BayesianLstmConfig::new(3, 4, true)
                .with_estimator(estimator)
                .init(&device);
            check(&format!("LSTM with {estimator:?}"), lstm, dtype, |layer| {
                layer.forward(ones([2, 5, 3], dtype), None).0
            });
            let gru = BayesianGruConfig::new(3, 4, true)
                .with_estimator(estimator)
                .init(&device);
            check(&format!("GRU with {estimator:?}"), gru, dtype, |layer| {
                layer.forward(ones([2, 5, 3], dtype), None).0
            });
        }
        let stacked = BayesianLstmConfig::new(3, 4, true)
            .with_num_layers(2)
            .with_bidirectional(true)
            .with_peephole(true)
            .init(&device);
        check("stacked LSTM", stacked, dtype, |layer| {
            layer.forward(ones([2, 5, 3], dtype), None).0
        });
    }
}

#[test]
fn embeddings_run_in_every_type() {
    let device = Device::flex().autodiff();
    for dtype in TYPES {
        let layer = BayesianEmbeddingConfig::new(6, 4).init(&device);
        check("embedding", layer, dtype, |layer| {
            layer.forward(Tensor::<2, Int>::from_ints([[0, 3], [5, 3]], &device))
        });
    }
}

#[test]
fn dropout_runs_in_every_type() {
    let dropout = McDropoutConfig::new(0.3).init();
    for dtype in TYPES {
        let x = ones([20, 20], dtype).require_grad();
        let y = dropout.with_draw(1, 0, |dropout| dropout.forward(x.clone()));
        assert_eq!(y.dtype(), dtype);
        let gradient = x.grad(&y.clone().sum().backward()).unwrap();
        assert_eq!(gradient.dtype(), dtype);
        // The mask in its type: 0, or 1 / 0.7 rounded.
        assert_eq!(values(gradient), values(y.clone()));
        let kept = values(y).into_iter().filter(|y| *y != 0.0);
        for y in kept {
            assert!((y * 0.7 - 1.0).abs() < 0.01, "{y} in {dtype:?}");
        }
    }
}

#[test]
fn networks_run_in_every_type() {
    let device = Device::flex().autodiff();
    for dtype in TYPES {
        let lenet = LeNetConfig::new(10).init(&device);
        check("LeNet", lenet, dtype, |net| {
            net.forward(ones([1, 1, 28, 28], dtype))
        });
    }
}
