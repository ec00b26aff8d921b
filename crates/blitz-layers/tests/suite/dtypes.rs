//! Every layer in every float type: a draw, a pass forward and one back, with each estimator it has.

use blitz_layers::conv::{
    BayesianConvTranspose1dConfig, BayesianConvTranspose2dConfig, BayesianConvTranspose3dConfig,
};
use blitz_layers::models::LeNetConfig;
use blitz_layers::prelude::*;
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{DType, Device, Gradients, Int, Tensor, TensorData};

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

/// The gradients of every parameter in the order of its traversal, as one list for each.
fn gradients<M: Module>(layer: &M, grads: &Gradients) -> Vec<Vec<f64>> {
    struct Look<'a>(&'a Gradients, Vec<Vec<f64>>);

    impl ModuleVisitor for Look<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.1.extend(param.val().grad(self.0).map(values));
        }
    }

    let mut look = Look(grads, Vec::new());
    layer.visit(&mut look);
    look.1
}

/// How far `got` is from `expected`, over the length of that.
fn distance(got: &[f64], expected: &[f64]) -> f64 {
    let length = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let mut off = got
        .iter()
        .zip(expected)
        .map(|(got, expected)| got - expected);
    length(&mut off) / length(&mut expected.iter().copied())
}

#[test]
fn the_gradient_of_a_row_that_is_looked_up_often_keeps_its_digits_in_16_bits() {
    let device = Device::flex().autodiff();
    let lookups = 8192;
    let places: Vec<i32> = (0..lookups).map(|i| [1, 3, 1, 1][i % 4]).collect();
    let places = Tensor::<1, Int>::from_ints(&places[..], &device).reshape([8, lookups / 8]);
    for dtype in TYPES {
        let layer = given(BayesianEmbeddingConfig::new(5, 2).init(&device), 0.2, dtype);
        let of_mean = layer.with_mean(|layer| layer.forward(places.clone()));
        let grads = (of_mean / lookups as f64).sum().backward();
        // The share of its lookups, each of which has a number of the type for a gradient.
        let expected = [0.0, 0.0, 0.75, 0.75, 0.0, 0.0, 0.25, 0.25, 0.0, 0.0];
        assert_eq!(gradients(&layer, &grads)[0], expected, "{dtype:?}");
    }
}

#[test]
fn the_gradients_of_many_steps_keep_their_digits_in_16_bits() {
    let device = Device::flex().autodiff();
    let (steps, estimators) = (800, [Estimator::SharedWeights, Estimator::Flipout]);
    let input = |dtype| {
        let values = (0..steps).flat_map(|step| [(step % 7) as f32 / 4.0 - 0.5, 0.5, 1.0]);
        let input = TensorData::new(values.collect(), [1, steps, 3]);
        Tensor::<3>::from_data(input, (&device, dtype))
    };
    for estimator in estimators {
        let gru = BayesianGruConfig::new(3, 4, true)
            .with_estimator(estimator)
            .init(&device);
        let lstm = BayesianLstmConfig::new(3, 4, true)
            .with_estimator(estimator)
            .with_peephole(true)
            .init(&device);
        let of = |dtype| {
            let gru = given(gru.clone(), 0.2, dtype);
            let lstm = given(lstm.clone(), 0.2, dtype);
            let output = gru.with_draw(3, 1, |gru| gru.forward(input(dtype), None).0);
            let of_gru = gradients(&gru, &output.mean().backward());
            let output = lstm.with_draw(3, 1, |lstm| lstm.forward(input(dtype), None).0);
            let of_lstm = gradients(&lstm, &output.mean().backward());
            [of_gru, of_lstm].concat()
        };
        let expected = of(DType::F64);
        for dtype in [DType::F16, DType::BF16] {
            let pairs = of(dtype).into_iter().zip(&expected).enumerate();
            // The first eight are of the GRU's update gate. Its terms cancel as the state settles, and what is left is
            // the rounding of the states.
            for (i, (got, expected)) in pairs.skip(8) {
                let off = distance(&got, expected);
                assert!(
                    off < 0.04,
                    "{estimator:?} in {dtype:?}, parameter {i}: {off}"
                );
            }
        }
    }
}
