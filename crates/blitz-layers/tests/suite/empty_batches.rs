//! Batches of no rows, such as the examples that a filter leaves: layers give as many.

use blitz_layers::conv::*;
use blitz_layers::models::{LeNetConfig, VggConfig};
use blitz_layers::moments::{ForwardMoments, Moments};
use blitz_layers::prelude::*;
use burn::nn::{LayerNormConfig, LinearConfig};
use burn::tensor::{Bool, Device, Int, Tensor};

use crate::statistics::ESTIMATORS;

fn nothing<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    assert!(shape.contains(&0));
    Tensor::zeros(shape, device)
}

fn devices() -> [Device; 2] {
    [Device::flex(), Device::flex().autodiff()]
}

/// Posteriors with which an estimator computes in ways of its own.
fn posteriors(estimator: Estimator) -> Vec<PosteriorConfig> {
    match estimator {
        Estimator::LocalReparameterization => vec![
            PosteriorConfig::normal(0.1),
            PosteriorConfig::matrix_normal(0.1),
        ],
        _ => vec![PosteriorConfig::normal(0.1)],
    }
}

/// Each estimator and posterior, on each device.
fn each(check: impl Fn(Estimator, PosteriorConfig, &Device)) {
    for device in devices() {
        for estimator in ESTIMATORS {
            for posterior in posteriors(estimator) {
                check(estimator, posterior, &device);
            }
        }
    }
}

#[test]
fn linear_layers_take_them_with_every_estimator() {
    each(|estimator, posterior, device| {
        let layer = BayesianLinearConfig::new(3, 2)
            .with_posterior(posterior)
            .with_estimator(estimator)
            .init(device);
        let output = layer.forward(nothing([0, 3], device));
        assert_eq!(output.dims(), [0, 2], "{layer}");
        for batch in [[0, 5], [5, 0]] {
            let [rows, length] = batch;
            let output = layer.forward(nothing([rows, length, 3], device));
            assert_eq!(output.dims(), [rows, length, 2], "{layer}");
        }
    });
}

#[test]
fn convolutions_take_them_with_every_estimator() {
    each(|estimator, posterior, device| {
        let conv1d = BayesianConv1dConfig::new(2, 4, 3)
            .with_groups(2)
            .with_posterior(posterior.clone())
            .with_estimator(estimator)
            .init(device);
        let output = conv1d.forward(nothing([0, 2, 7], device));
        assert_eq!(output.dims(), [0, 4, 5], "{conv1d}");

        let conv2d = BayesianConv2dConfig::new([2, 4], [3, 3])
            .with_posterior(posterior.clone())
            .with_estimator(estimator)
            .init(device);
        let output = conv2d.forward(nothing([0, 2, 7, 6], device));
        assert_eq!(output.dims(), [0, 4, 5, 4], "{conv2d}");

        let conv3d = BayesianConv3dConfig::new([2, 4], [3, 3, 3])
            .with_posterior(posterior.clone())
            .with_estimator(estimator)
            .init(device);
        let output = conv3d.forward(nothing([0, 2, 7, 6, 5], device));
        assert_eq!(output.dims(), [0, 4, 5, 4, 3], "{conv3d}");

        let transposed = BayesianConvTranspose2dConfig::new([4, 2], [3, 3])
            .with_groups(2)
            .with_posterior(posterior)
            .with_estimator(estimator)
            .init(device);
        let output = transposed.forward(nothing([0, 4, 5, 4], device));
        assert_eq!(output.dims(), [0, 2, 7, 6], "{transposed}");
    });
}

#[test]
fn recurrent_layers_take_them_in_every_order_of_the_axes() {
    for device in devices() {
        for (estimator, batch_first, frozen) in [
            (Estimator::SharedWeights, true, false),
            (Estimator::SharedWeights, false, false),
            (Estimator::Flipout, true, false),
            (Estimator::Flipout, false, false),
            (Estimator::Flipout, true, true),
        ] {
            let shape = |features: usize| match batch_first {
                true => [0, 5, features],
                false => [5, 0, features],
            };
            let input = || nothing(shape(3), &device);
            let mask: Tensor<2, Bool> = Tensor::<2>::zeros([0, 5], &device).equal_elem(1.0);
            for peephole in [false, true] {
                let lstm = BayesianLstmConfig::new(3, 2, true)
                    .with_peephole(peephole)
                    .with_bidirectional(true)
                    .with_batch_first(batch_first)
                    .with_estimator(estimator)
                    .init(&device);
                let lstm = match frozen {
                    true => lstm.freeze_sampling(),
                    false => lstm,
                };
                let (output, state) = lstm.forward(input(), None);
                assert_eq!(output.dims(), shape(4), "{lstm}");
                assert_eq!(state.hidden.dims(), [2, 0, 2], "{lstm}");
                let (output, _) = lstm.forward(input(), Some(state.clone()));
                assert_eq!(output.dims(), shape(4), "{lstm}");
                let (output, _) = lstm.forward_padded(input(), &[], Some(state));
                assert_eq!(output.dims(), shape(4), "{lstm}");
                let (output, _) = lstm.forward_masked(input(), mask.clone(), None);
                assert_eq!(output.dims(), shape(4), "{lstm}");
            }
            for reset_after in [false, true] {
                let gru = BayesianGruConfig::new(3, 2, true)
                    .with_reset_after(reset_after)
                    .with_num_layers(2)
                    .with_batch_first(batch_first)
                    .with_estimator(estimator)
                    .init(&device);
                let (output, state) = gru.forward(input(), None);
                assert_eq!(output.dims(), shape(2), "{gru}");
                assert_eq!(state.dims(), [2, 0, 2], "{gru}");
                let (output, _) = gru.forward_padded(input(), &[], Some(state));
                assert_eq!(output.dims(), shape(2), "{gru}");
            }
        }
    }
}

#[test]
fn embeddings_and_dropout_take_them() {
    for device in devices() {
        let embedding = BayesianEmbeddingConfig::new(10, 4)
            .with_padding_idx(Some(0))
            .with_max_norm(Some(1.0))
            .init(&device);
        for batch in [[0, 5], [5, 0]] {
            let words: Tensor<2, Int> = Tensor::<2>::zeros(batch, &device).int();
            let [rows, length] = batch;
            assert_eq!(embedding.forward(words).dims(), [rows, length, 4]);
        }
        let dropout = McDropoutConfig::new(0.5).init();
        assert_eq!(dropout.forward(nothing([0, 5], &device)).dims(), [0, 5]);
        let shared = McDropoutConfig::new(0.5).with_shared_axes(vec![1]).init();
        assert_eq!(shared.forward(nothing([0, 5], &device)).dims(), [0, 5]);
    }
}

#[test]
fn models_take_them_with_every_estimator() {
    for estimator in ESTIMATORS {
        let device = Device::flex();
        let lenet = LeNetConfig::new(7)
            .with_image_size([16, 20])
            .with_estimator(estimator)
            .init(&device);
        let output = lenet.forward(nothing([0, 1, 16, 20], &device));
        assert_eq!(output.dims(), [0, 7]);
        let vgg = VggConfig::vgg11(3)
            .with_width(2)
            .with_pooled_size(1)
            .with_hidden(8)
            .with_estimator(estimator)
            .init(&device);
        let output = vgg.forward(nothing([0, 3, 32, 32], &device));
        assert_eq!(output.dims(), [0, 3]);
    }
}

/// Of certain and of uncertain inputs.
fn inputs<const D: usize>(shape: [usize; D], device: &Device) -> [Moments<D>; 2] {
    let mean = nothing(shape, device);
    [
        Moments::certain(mean.clone()),
        Moments::new(mean.clone(), mean),
    ]
}

fn assert_dims<const D: usize>(moments: &Moments<D>, dims: [usize; D]) {
    assert_eq!(moments.mean.dims(), dims);
    let variance = moments.variance.as_ref();
    assert!(variance.is_none_or(|variance| variance.dims() == dims));
}

#[test]
fn moments_of_them_are_as_many() {
    for device in devices() {
        for posterior in [
            PosteriorConfig::normal(0.1),
            PosteriorConfig::full_rank_normal(0.1),
        ] {
            let linear = BayesianLinearConfig::new(3, 2)
                .with_posterior(posterior)
                .init(&device);
            for batch in [[0, 5], [5, 0]] {
                let [rows, length] = batch;
                for input in inputs([rows, length, 3], &device) {
                    assert_dims(&linear.forward_moments(input), [rows, length, 2]);
                }
            }
        }
        let conv = BayesianConv2dConfig::new([2, 4], [3, 3]).init(&device);
        for input in inputs([0, 2, 7, 6], &device) {
            assert_dims(&conv.forward_moments(input), [0, 4, 5, 4]);
        }
        let words = Tensor::<2>::zeros([0, 5], &device).int();
        let embedding = BayesianEmbeddingConfig::new(10, 4).init(&device);
        assert_dims(&embedding.forward_moments(words), [0, 5, 4]);
        let burn = LinearConfig::new(3, 2).init(&device);
        let norm = LayerNormConfig::new(3).init(&device);
        for input in inputs([0, 3], &device) {
            assert_dims(&burn.forward_moments(input.clone()), [0, 2]);
            assert_dims(&norm.forward_moments(input), [0, 3]);
        }
        let lenet = LeNetConfig::new(7).with_image_size([16, 20]).init(&device);
        for input in inputs([0, 1, 16, 20], &device) {
            assert_dims(&lenet.forward_moments(input), [0, 7]);
        }
    }
}

#[test]
fn expectations_over_them_are_as_many() {
    for device in devices() {
        for shape in [[0, 5], [5, 0]] {
            for input in inputs(shape, &device) {
                let [square, exp] = input.expectations(|x| [x.clone().square(), x.exp()]);
                assert_eq!([square.dims(), exp.dims()], [shape, shape]);
            }
        }
    }
}
