//! The convolutions, against Burn's and against theory.

use blitz_core::kernels::without_fused;
use blitz_layers::conv::{
    BayesianConvTranspose1dConfig, BayesianConvTranspose2dConfig, BayesianConvTranspose3dConfig,
};
use blitz_layers::prelude::*;
use burn::module::Module;
use burn::nn::conv::{
    Conv1dConfig, Conv2dConfig, Conv3dConfig, ConvTranspose1dConfig, ConvTranspose2dConfig,
    ConvTranspose3dConfig,
};
use burn::nn::{Initializer, PaddingConfig1d, PaddingConfig2d, PaddingConfig3d};
use burn::tensor::module::{conv_transpose2d, conv1d, conv2d, conv3d};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Device, Shape, Tensor};

use crate::seeded::seeded_throughout;
use crate::statistics::{
    ESTIMATORS, assert_covariance, assert_falls_with_the_batch, assert_mean, assert_normal,
    assert_total_variance, expected_gradients, gradients, rho, values,
};

/// An input without repetition: sines of irrational steps.
fn input<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    let elements = shape.iter().product::<usize>();
    let values: Vec<f32> = (0..elements).map(|i| (1.7 * i as f32).sin()).collect();
    Tensor::<1>::from_floats(values.as_slice(), device).reshape(Shape::from(shape))
}

/// Builds Burn's layer and ours with the same arguments and options, Burn's record loaded into ours, for each row of
/// options and each estimator, and compares their outputs.
macro_rules! assert_equals_burn {
    ($burn:ident, $bayesian:ident, $new:tt, $input:expr, [
        $([$($with:ident($value:expr)),*]),+ $(,)?
    ]) => {$(
        let device = Device::flex();
        let x = input($input, &device);
        let plain = seeded_throughout($burn::new $new $(.$with($value))*.init(&device), 22);
        let expected = values(plain.forward(x.clone()));
        let options = stringify!($burn $new $($with($value)),*);
        for estimator in ESTIMATORS {
            let layer = $bayesian::new $new $(.$with($value))*
                .with_posterior(PosteriorConfig::normal(1e-9))
                .with_estimator(estimator)
                .init(&device);
            let layer = layer.load_record(plain.clone().into_record().allow_partial(true));
            // The library's kernel adds in another order than Burn's.
            let means = without_fused(|| layer.with_mean(|layer| layer.forward(x.clone())));
            assert_eq!(values(means), expected, "{options}");
            let output = layer.forward(x.clone());
            assert_eq!(output.dims(), plain.forward(x.clone()).dims(), "{options}");
            let worst = values(output).iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(worst < 1e-5, "{options}, {estimator:?}: {worst}");
        }
    )+};
}

#[test]
fn as_the_deviation_vanishes_convolutions_equal_burns_with_every_option() {
    assert_equals_burn!(
        Conv1dConfig,
        BayesianConv1dConfig,
        (4, 6, 3),
        [2, 4, 9],
        [
            [],
            [with_bias(false)],
            [with_stride(2)],
            [with_dilation(3)],
            [with_groups(2)],
            [with_padding(PaddingConfig1d::Same)],
            [with_padding(PaddingConfig1d::Explicit(1, 1))],
            [with_padding(PaddingConfig1d::Explicit(0, 2))],
            [
                with_stride(2),
                with_dilation(2),
                with_groups(2),
                with_padding(PaddingConfig1d::Explicit(2, 1))
            ],
        ]
    );
    assert_equals_burn!(
        Conv1dConfig,
        BayesianConv1dConfig,
        (2, 3, 4),
        [2, 2, 7],
        [
            [with_padding(PaddingConfig1d::Same)],
            [with_padding(PaddingConfig1d::Same), with_stride(3)],
        ]
    );
    assert_equals_burn!(
        Conv2dConfig,
        BayesianConv2dConfig,
        ([4, 6], [3, 2]),
        [2, 4, 7, 6],
        [
            [],
            [with_bias(false)],
            [with_stride([2, 1])],
            [with_dilation([1, 3])],
            [with_groups(2)],
            [with_padding(PaddingConfig2d::Same)],
            [with_padding(PaddingConfig2d::Same), with_stride([3, 2])],
            [with_padding(PaddingConfig2d::Explicit(1, 2, 1, 2))],
            [with_padding(PaddingConfig2d::Explicit(1, 0, 2, 3))],
            [
                with_stride([1, 2]),
                with_dilation([2, 1]),
                with_groups(2),
                with_padding(PaddingConfig2d::Explicit(2, 1, 0, 1))
            ],
        ]
    );
    assert_equals_burn!(
        Conv3dConfig,
        BayesianConv3dConfig,
        ([2, 4], [3, 1, 3]),
        [2, 2, 5, 3, 5],
        [
            [],
            [with_bias(false)],
            [with_stride([2, 1, 1])],
            [with_dilation([1, 2, 2])],
            [with_groups(2)],
            [with_padding(PaddingConfig3d::Same)],
            [with_padding(PaddingConfig3d::Explicit(1, 0, 2))],
            [
                with_stride([1, 2, 1]),
                with_dilation([2, 1, 1]),
                with_groups(2),
                with_padding(PaddingConfig3d::Explicit(0, 1, 1))
            ],
        ]
    );
}

/// What PyTorch and TensorFlow put before and after an axis.
fn same(size: usize, kernel: usize, dilation: usize, stride: usize) -> (usize, usize) {
    let reach = dilation * (kernel - 1) + 1;
    let total = ((size.div_ceil(stride) - 1) * stride + reach).saturating_sub(size);
    (total / 2, total - total / 2)
}

/// `x` with zeros around each axis after the first two.
fn padded<const D: usize>(x: &Tensor<D>, zeros: &[(usize, usize)]) -> Tensor<D> {
    let zeros = zeros.iter().enumerate();
    zeros.fold(x.clone(), |x, (axis, (before, after))| {
        let some = |count: usize| {
            let mut shape = x.dims();
            shape[axis + 2] = count;
            (count > 0).then(|| Tensor::zeros(shape, &x.device()))
        };
        let parts = [some(*before), Some(x.clone()), some(*after)];
        Tensor::cat(parts.into_iter().flatten().collect(), axis + 2)
    })
}

/// Every kernel of 1 to 4, dilation of 1 to 3 and stride of 1 to 3.
fn windows() -> impl Iterator<Item = (usize, usize, usize)> {
    let dilations = || 1..4usize;
    (1..5).flat_map(move |kernel| {
        dilations().flat_map(move |dilation| (1..4).map(move |stride| (kernel, dilation, stride)))
    })
}

fn assert_same<const D: usize>(
    output: Tensor<D>,
    expected: Tensor<D>,
    positions: &[usize],
    what: &str,
) {
    assert_eq!(&output.dims()[2..], positions, "{what}");
    let worst = (output - expected).abs().max().into_scalar::<f32>();
    assert!(worst < 1e-5, "{what}: {worst}");
}

#[test]
fn same_padding_gives_the_length_over_the_stride_rounded_up() {
    let device = Device::flex();
    let layer = BayesianConv1dConfig::new(1, 1, 3).with_dilation(2);
    let layer = layer.with_padding(PaddingConfig1d::Same).init(&device);
    let output = layer.forward(Tensor::ones([1, 1, 10], &device));
    assert_eq!(output.dims(), [1, 1, 10]);

    for (kernel, dilation, stride) in windows() {
        let config = BayesianConv1dConfig::new(2, 4, kernel)
            .with_dilation(dilation)
            .with_stride(stride)
            .with_groups(2)
            .with_padding(PaddingConfig1d::Same);
        let layer = seeded_throughout(config.init(&device), 22);
        for size in 1..12 {
            let what = format!("kernel {kernel}, dilation {dilation}, stride {stride}, {size}");
            let x = input([2, 2, size], &device);
            let zeros = same(size, kernel, dilation, stride);
            let expected = conv1d(
                padded(&x, &[zeros]),
                layer.weight.base(),
                layer.bias.as_ref().map(|bias| bias.base()),
                ConvOptions::new([stride], [0], [dilation], 2),
            );
            let mean = layer.with_mean(|layer| layer.forward(x.clone()));
            assert_same(mean, expected, &[size.div_ceil(stride)], &what);
        }
    }
}

#[test]
fn same_padding_is_that_of_each_axis_in_two_dimensions() {
    let device = Device::flex();
    for (kernel, dilation, stride) in windows() {
        // The other axis has another kernel, dilation and stride.
        let (kernel, dilation, stride) = (
            [kernel, 5 - kernel],
            [dilation, 4 - dilation],
            [stride, 4 - stride],
        );
        let config = BayesianConv2dConfig::new([2, 3], kernel)
            .with_dilation(dilation)
            .with_stride(stride)
            .with_padding(PaddingConfig2d::Same);
        let layer = seeded_throughout(config.init(&device), 22);
        for size in [[1, 7], [4, 5], [6, 3], [9, 8]] {
            let what =
                format!("kernel {kernel:?}, dilation {dilation:?}, stride {stride:?}, {size:?}");
            let x = input([2, 2, size[0], size[1]], &device);
            let zeros = [0, 1].map(|i| same(size[i], kernel[i], dilation[i], stride[i]));
            let expected = conv2d(
                padded(&x, &zeros),
                layer.weight.base(),
                layer.bias.as_ref().map(|bias| bias.base()),
                ConvOptions::new(stride, [0, 0], dilation, 1),
            );
            let mean = layer.with_mean(|layer| layer.forward(x.clone()));
            let positions = [0, 1].map(|i| size[i].div_ceil(stride[i]));
            assert_same(mean, expected, &positions, &what);
        }
    }
}

#[test]
fn same_padding_in_three_dimensions_takes_any_kernel_and_stride() {
    let device = Device::flex();
    for (kernel, dilation, stride) in windows() {
        let (kernel, dilation, stride) = (
            [kernel, 5 - kernel, 3],
            [dilation, 4 - dilation, 1],
            [stride, 4 - stride, 2],
        );
        let config = BayesianConv3dConfig::new([1, 2], kernel)
            .with_dilation(dilation)
            .with_stride(stride)
            .with_padding(PaddingConfig3d::Same);
        let layer = seeded_throughout(config.init(&device), 22);
        for size in [[1, 7, 4], [4, 5, 6], [6, 3, 5]] {
            let what =
                format!("kernel {kernel:?}, dilation {dilation:?}, stride {stride:?}, {size:?}");
            let x = input([2, 1, size[0], size[1], size[2]], &device);
            let zeros = [0, 1, 2].map(|i| same(size[i], kernel[i], dilation[i], stride[i]));
            let expected = conv3d(
                padded(&x, &zeros),
                layer.weight.base(),
                layer.bias.as_ref().map(|bias| bias.base()),
                ConvOptions::new(stride, [0, 0, 0], dilation, 1),
            );
            let mean = layer.with_mean(|layer| layer.forward(x.clone()));
            let positions = [0, 1, 2].map(|i| size[i].div_ceil(stride[i]));
            assert_same(mean, expected, &positions, &what);
        }
    }
}

#[test]
fn every_estimator_pads_alike() {
    let device = Device::flex();
    let x = input([2, 1, 5, 4, 6], &device);
    let config = BayesianConv3dConfig::new([1, 2], [2, 3, 4])
        .with_stride([1, 2, 1])
        .with_padding(PaddingConfig3d::Same)
        .with_posterior(PosteriorConfig::normal(1e-9));
    let mut layer = seeded_throughout(config.init(&device), 22);
    let expected = layer.with_mean(|layer| layer.forward(x.clone()));
    for estimator in ESTIMATORS {
        layer.estimator = estimator;
        let output = layer.with_draw(1, 0, |layer| layer.forward(x.clone()));
        assert_same(
            output,
            expected.clone(),
            &[5, 2, 6],
            &format!("{estimator:?}"),
        );
    }
}

#[test]
fn where_burn_leaves_dilation_out_of_account_its_layer_returns_fewer_positions() {
    // If this fails, Burn's layer has become right, and the exception in the documentation can go.
    let device = Device::flex();
    let config = Conv1dConfig::new(1, 1, 3).with_dilation(2);
    let layer = config.with_padding(PaddingConfig1d::Same).init(&device);
    let output = layer.forward(Tensor::ones([1, 1, 10], &device));
    assert_eq!(output.dims(), [1, 1, 8]);
}

#[test]
fn as_the_deviation_vanishes_transposed_convolutions_equal_burns_with_every_option() {
    assert_equals_burn!(
        ConvTranspose1dConfig,
        BayesianConvTranspose1dConfig,
        ([4, 6], 3),
        [2, 4, 5],
        [
            [],
            [with_bias(false)],
            [with_stride(2)],
            [with_dilation(2)],
            [with_groups(2)],
            [with_padding(1)],
            [with_stride(2), with_padding_out(1)],
            [
                with_stride(3),
                with_dilation(2),
                with_groups(2),
                with_padding(2),
                with_padding_out(1)
            ],
        ]
    );
    assert_equals_burn!(
        ConvTranspose2dConfig,
        BayesianConvTranspose2dConfig,
        ([4, 6], [3, 2]),
        [2, 4, 4, 3],
        [
            [],
            [with_bias(false)],
            [with_stride([2, 1])],
            [with_dilation([1, 3])],
            [with_groups(2)],
            [with_padding([1, 0])],
            [with_stride([2, 3]), with_padding_out([1, 2])],
            [
                with_stride([2, 2]),
                with_dilation([2, 1]),
                with_groups(2),
                with_padding([1, 1]),
                with_padding_out([1, 0])
            ],
        ]
    );
    assert_equals_burn!(
        ConvTranspose3dConfig,
        BayesianConvTranspose3dConfig,
        ([2, 4], [3, 1, 2]),
        [2, 2, 3, 2, 3],
        [
            [],
            [with_bias(false)],
            [with_stride([1, 2, 1])],
            [with_dilation([2, 1, 1])],
            [with_groups(2)],
            [with_padding([1, 0, 1])],
            [
                with_stride([2, 1, 2]),
                with_padding([1, 0, 1]),
                with_padding_out([1, 0, 1]),
                with_groups(2)
            ],
        ]
    );
}

/// Draws from `bayesian` with each estimator, and compares its outputs' moments at every position with theory: the
/// means of the mean mode, and the variances `burn(x²)` of Burn's layer with σ² for each weight.
macro_rules! assert_moments {
    ($burn:expr, $bayesian:expr, $input:expr) => {
        let device = Device::flex();
        let x = input($input, &device);
        let std = 0.3;
        let layer = $bayesian
            .with_posterior(PosteriorConfig::normal(std))
            .init(&device);
        let mut layer = seeded_throughout(layer, 21);
        let mean = values(layer.with_mean(|layer| layer.forward(x.clone())));
        let squares = $burn
            .with_initializer(Initializer::Constant { value: std * std })
            .init(&device);
        let variance = values(squares.forward(x.clone().square()));
        for estimator in ESTIMATORS {
            layer.estimator = estimator;
            let samples: Vec<_> = (0..1500)
                .map(|index| values(layer.with_draw(3, index, |layer| layer.forward(x.clone()))))
                .collect();
            let what = format!("{} {estimator:?}", stringify!($bayesian));
            assert_normal(&samples, &mean, &variance, &what);
            assert_total_variance(&samples, &mean, &variance, &what);
        }
    };
}

#[test]
fn every_estimator_has_the_posteriors_mean_and_variance_at_every_position() {
    assert_moments!(
        Conv1dConfig::new(2, 4, 3)
            .with_groups(2)
            .with_padding(PaddingConfig1d::Explicit(2, 1)),
        BayesianConv1dConfig::new(2, 4, 3)
            .with_groups(2)
            .with_padding(PaddingConfig1d::Explicit(2, 1)),
        [2, 2, 4]
    );
    assert_moments!(
        Conv2dConfig::new([2, 2], [2, 3]).with_padding(PaddingConfig2d::Same),
        BayesianConv2dConfig::new([2, 2], [2, 3]).with_padding(PaddingConfig2d::Same),
        [2, 2, 3, 3]
    );
    assert_moments!(
        Conv3dConfig::new([1, 2], [2, 2, 2]).with_padding(PaddingConfig3d::Explicit(1, 0, 1)),
        BayesianConv3dConfig::new([1, 2], [2, 2, 2])
            .with_padding(PaddingConfig3d::Explicit(1, 0, 1)),
        [2, 1, 2, 2, 2]
    );
    assert_moments!(
        ConvTranspose1dConfig::new([2, 2], 3).with_stride(2),
        BayesianConvTranspose1dConfig::new([2, 2], 3).with_stride(2),
        [2, 2, 3]
    );
    assert_moments!(
        ConvTranspose2dConfig::new([2, 2], [2, 3])
            .with_groups(2)
            .with_padding([0, 1]),
        BayesianConvTranspose2dConfig::new([2, 2], [2, 3])
            .with_groups(2)
            .with_padding([0, 1]),
        [2, 2, 2, 3]
    );
    assert_moments!(
        ConvTranspose3dConfig::new([1, 2], [2, 1, 2])
            .with_padding_out([0, 0, 1])
            .with_stride([1, 1, 2]),
        BayesianConvTranspose3dConfig::new([1, 2], [2, 1, 2])
            .with_padding_out([0, 0, 1])
            .with_stride([1, 1, 2]),
        [2, 1, 2, 2, 2]
    );
}

#[test]
fn positions_share_their_kernels_except_under_local_reparameterization_and_rows_only_in_a_shared_draw()
 {
    let device = Device::flex();
    let std = 0.5;
    let layer = BayesianConv1dConfig::new(2, 1, 2)
        .with_posterior(PosteriorConfig::normal(std))
        .init(&device);
    let mut layer = seeded_throughout(layer, 21);
    let x: [[[f64; 4]; 2]; 2] = [
        [[1.0, -0.5, 0.7, 1.2], [0.3, 0.8, -1.0, 0.4]],
        [[0.9, 0.6, -0.4, 0.2], [1.1, 0.1, 0.5, -0.3]],
    ];
    let tensor = Tensor::<3>::from_data(x, &device);
    // The outputs in the order of the tensor: row, then position. Cov = σ² (patch · patch' + 1).
    let patches: Vec<[f64; 4]> = (0..6)
        .map(|i| (&x[i / 3], i % 3))
        .map(|(row, t)| [row[0][t], row[0][t + 1], row[1][t], row[1][t + 1]])
        .collect();
    let shared = |a: usize, b: usize| {
        let dot = patches[a].iter().zip(&patches[b]).map(|(a, b)| a * b);
        std * std * (dot.sum::<f64>() + 1.0)
    };
    let mean = values(layer.with_mean(|layer| layer.forward(tensor.clone())));
    let variance: Vec<_> = (0..6).map(|i| shared(i, i)).collect();
    for estimator in ESTIMATORS {
        layer.estimator = estimator;
        let samples: Vec<_> = (0..3000)
            .map(|index| values(layer.with_draw(5, index, |l| l.forward(tensor.clone()))))
            .collect();
        for (a, b) in (0..6).flat_map(|a| (0..a).map(move |b| (a, b))) {
            let kept = match estimator {
                Estimator::SharedWeights => true,
                Estimator::Flipout => a / 3 == b / 3,
                _ => false,
            };
            let expected = if kept { shared(a, b) } else { 0.0 };
            let what = format!("{estimator:?}");
            assert_covariance(&samples, [a, b], &mean, &variance, expected, &what);
        }
    }
}

#[test]
fn flipout_repeats_a_rows_pattern_wherever_the_row_repeats_it() {
    let device = Device::flex();
    let layer = BayesianConv2dConfig::new([2, 3], [2, 2])
        .with_posterior(PosteriorConfig::normal(0.5))
        .with_estimator(Estimator::Flipout)
        .init(&device);
    let layer = seeded_throughout(layer, 21);
    let x = Tensor::<4>::ones([4, 2, 4, 5], &device);
    let rows = values(layer.with_draw(1, 0, |layer| layer.forward(x)));
    for channel in rows.chunks(3 * 4) {
        assert!(channel.iter().all(|value| value == &channel[0]));
    }
    // Signs of its own for each row: 2 input and 3 output channels would agree in all of 4 rows once in 2^15.
    let rows: Vec<_> = rows.chunks(3 * 3 * 4).collect();
    assert!(rows.iter().any(|row| row != &rows[0]));
}

#[test]
fn the_gradient_of_every_estimator_is_unbiased() {
    let device = Device::flex().autodiff();
    let layer = BayesianConv1dConfig::new(2, 2, 2)
        .with_posterior(PosteriorConfig::normal(0.2))
        .with_padding(PaddingConfig1d::Explicit(1, 0))
        .init(&device);
    let mut layer = seeded_throughout(layer, 21);
    let x = input([3, 2, 4], &device);
    let options = || ConvOptions::new_with_padding([1], [(1, 0)], [1], 1);
    let expected = expected_gradients(
        &layer.weight,
        layer.bias.as_ref().unwrap(),
        x.clone(),
        |x, w, b| conv1d(x, w, b, options()),
    );
    for estimator in ESTIMATORS {
        layer.estimator = estimator;
        let samples: Vec<_> = (0..600)
            .map(|index| {
                let loss = layer.with_draw(6, index, |layer| layer.forward(x.clone()).exp().mean());
                gradients(
                    &layer.weight,
                    layer.bias.as_ref().unwrap(),
                    &loss.backward(),
                )
            })
            .collect();
        assert_mean(&samples, &expected, &format!("{estimator:?}"));
    }
}

#[test]
fn the_gradient_of_a_transposed_convolution_is_unbiased() {
    let device = Device::flex().autodiff();
    let layer = BayesianConvTranspose2dConfig::new([2, 2], [2, 2])
        .with_posterior(PosteriorConfig::normal(0.2))
        .with_groups(2)
        .with_stride([2, 1])
        .init(&device);
    let mut layer = seeded_throughout(layer, 21);
    let x = input([3, 2, 2, 3], &device);
    let options = || ConvTransposeOptions::new([2, 1], [0, 0], [0, 0], [1, 1], 2);
    let expected = expected_gradients(
        &layer.weight,
        layer.bias.as_ref().unwrap(),
        x.clone(),
        |x, w, b| conv_transpose2d(x, w, b, options()),
    );
    for estimator in ESTIMATORS {
        layer.estimator = estimator;
        let samples: Vec<_> = (0..400)
            .map(|index| {
                let loss = layer.with_draw(6, index, |layer| layer.forward(x.clone()).exp().mean());
                gradients(
                    &layer.weight,
                    layer.bias.as_ref().unwrap(),
                    &loss.backward(),
                )
            })
            .collect();
        assert_mean(&samples, &expected, &format!("{estimator:?}"));
    }
}

#[test]
fn the_gradients_variance_falls_as_one_over_the_batch_unless_rows_share_their_kernels() {
    let device = Device::flex().autodiff();
    for estimator in ESTIMATORS {
        let layer = BayesianConv1dConfig::new(1, 2, 2)
            .with_posterior(PosteriorConfig::normal(0.5))
            .with_estimator(estimator)
            .init(&device);
        let layer = seeded_throughout(layer, 21);
        assert_falls_with_the_batch(estimator, |batch, index| {
            let x = Tensor::<3>::ones([batch, 1, 4], &device);
            let loss = layer.with_draw(2, index, |layer| layer.forward(x).square().mean());
            values(layer.weight.base().grad(&loss.backward()).unwrap())[0]
        });
    }
}

/// What holds for each of the six layers in the same words.
macro_rules! for_each_layer {
    ($check:ident) => {
        $check!(BayesianConv1dConfig::new(2, 2, 3), [2, 2, 5]);
        $check!(BayesianConv2dConfig::new([2, 2], [2, 2]), [2, 2, 3, 4]);
        $check!(
            BayesianConv3dConfig::new([1, 2], [2, 2, 2]),
            [2, 1, 3, 2, 3]
        );
        $check!(BayesianConvTranspose1dConfig::new([2, 2], 3), [2, 2, 5]);
        $check!(
            BayesianConvTranspose2dConfig::new([2, 2], [2, 2]),
            [2, 2, 3, 4]
        );
        $check!(
            BayesianConvTranspose3dConfig::new([1, 2], [2, 2, 2]),
            [2, 1, 3, 2, 3]
        );
    };
}

#[test]
fn gradients_reach_mu_and_rho_of_weight_and_bias() {
    macro_rules! check {
        ($config:expr, $input:expr) => {
            let device = Device::flex().autodiff();
            for estimator in ESTIMATORS {
                let layer = $config.with_estimator(estimator).init(&device);
                let layer = seeded_throughout(layer, 21);
                let loss = layer.forward(input($input, &device)).square().sum();
                let gradients = loss.backward();
                let bias = layer.bias.as_ref().unwrap();
                for gradient in [
                    values(layer.weight.base().grad(&gradients).unwrap()),
                    values(rho(&layer.weight).grad(&gradients).unwrap()),
                    values(bias.base().grad(&gradients).unwrap()),
                    values(rho(bias).grad(&gradients).unwrap()),
                ] {
                    let what = format!("{layer}");
                    assert!(
                        gradient.iter().all(|g| g.is_finite() && *g != 0.0),
                        "{what}"
                    );
                }
            }
        };
    }
    for_each_layer!(check);
}

#[test]
fn draws_repeat_and_differ_from_each_other() {
    macro_rules! check {
        ($config:expr, $input:expr) => {
            let device = Device::flex();
            let x = input($input, &device);
            for estimator in ESTIMATORS {
                let layer = $config.with_estimator(estimator).init(&device);
                let layer = seeded_throughout(layer, 21);
                let draw = |index| values(layer.with_draw(9, index, |l| l.forward(x.clone())));
                assert_eq!(draw(0), draw(0), "{layer}");
                assert_ne!(draw(0), draw(1), "{layer}");
            }
        };
    }
    for_each_layer!(check);
}

#[test]
fn the_mean_mode_and_frozen_sampling_switch_the_noise_off() {
    macro_rules! check {
        ($config:expr, $input:expr) => {
            let device = Device::flex();
            let x = input($input, &device);
            for estimator in ESTIMATORS {
                let layer = $config.with_estimator(estimator).init(&device);
                let layer = seeded_throughout(layer, 21);
                let mean = values(layer.with_mean(|layer| layer.forward(x.clone())));
                assert_ne!(values(layer.forward(x.clone())), mean, "{layer}");
                let frozen = layer.clone().freeze_sampling();
                assert_eq!(values(frozen.forward(x.clone())), mean, "{layer}");
                let unfrozen = frozen.unfreeze_sampling();
                assert_ne!(values(unfrozen.forward(x.clone())), mean, "{layer}");
            }
        };
    }
    for_each_layer!(check);
}

#[test]
fn weight_and_bias_have_posteriors_and_start_at_the_initializer() {
    macro_rules! check {
        ($config:expr, $input:expr) => {
            let device = Device::flex();
            let layer = $config
                .with_initializer(Initializer::Constant { value: 0.25 })
                .init(&device);
            let bias = layer.bias.as_ref().unwrap();
            assert_eq!(
                layer.num_bayesian_weights(),
                layer.weight.shape().num_elements() + 2
            );
            for mu in [values(layer.weight.base()), values(bias.base())] {
                assert!(mu.iter().all(|mu| *mu == 0.25));
            }
            assert_eq!($config.with_bias(false).init(&device).kl_terms().len(), 1);
        };
    }
    for_each_layer!(check);
}

#[test]
fn configurations_survive_json() {
    use burn::config::Config;

    fn assert_survives<C: Config + std::fmt::Debug>(config: C) {
        let json = serde_json::to_vec(&config).unwrap();
        let back = C::load_binary(&json).unwrap();
        assert_eq!(format!("{config:?}"), format!("{back:?}"));
    }
    macro_rules! check {
        ($config:expr, $input:expr) => {
            assert_survives(
                $config
                    .with_groups(2)
                    .with_bias(false)
                    .with_estimator(Estimator::Flipout)
                    .with_posterior(PosteriorConfig::normal(0.25))
                    .with_prior(PriorConfig::scale_mixture(0.25, 1.0, 0.01)),
            );
        };
    }
    for_each_layer!(check);
    assert_survives(
        BayesianConv2dConfig::new([3, 8], [3, 5])
            .with_padding(PaddingConfig2d::Explicit(1, 2, 3, 4)),
    );
    assert_survives(
        BayesianConvTranspose2dConfig::new([3, 8], [3, 5])
            .with_stride([2, 2])
            .with_padding_out([1, 0]),
    );
}

#[test]
fn display_is_burns_with_bias_families_and_estimator() {
    let device = Device::flex();
    assert_eq!(
        BayesianConv1dConfig::new(5, 1, 3).init(&device).to_string(),
        "BayesianConv1d {ch_in: 5, ch_out: 1, stride: 1, kernel_size: 3, dilation: 1, groups: 1, padding: Valid, \
         bias: true, posterior: Normal, prior: Normal, estimator: SharedWeights, params: 32}"
    );
    assert_eq!(
        BayesianConv2dConfig::new([4, 2], [3, 3])
            .with_groups(2)
            .with_bias(false)
            .with_padding(PaddingConfig2d::Same)
            .with_estimator(Estimator::Flipout)
            .init(&device)
            .to_string(),
        "BayesianConv2d {ch_in: 4, ch_out: 2, stride: [1, 1], kernel_size: [3, 3], dilation: [1, 1], groups: 2, \
         padding: Same, bias: false, posterior: Normal, prior: Normal, estimator: Flipout, params: 72}"
    );
    assert_eq!(
        BayesianConvTranspose2dConfig::new([4, 2], [3, 3])
            .init(&device)
            .to_string(),
        "BayesianConvTranspose2d {channels: [4, 2], stride: [1, 1], kernel_size: [3, 3], dilation: [1, 1], groups: 1, \
         padding: [0, 0], padding_out: [0, 0], bias: true, posterior: Normal, prior: Normal, estimator: SharedWeights, params: 148}"
    );
}

#[test]
fn displaying_a_layer_samples_nothing() {
    // A draw numbers weights by their first use, so sampling the one on display would move the next to other noise.
    let device = Device::flex();
    let layer = BayesianConv2dConfig::new([1, 1], [2, 2]).init(&device);
    let x = input([1, 1, 3, 3], &device);
    let sample = |display: bool| {
        let _draw = Draw::anonymous(3, 0);
        let other = BayesianConv2dConfig::new([1, 1], [2, 2]).init(&device);
        if display {
            let _ = other.to_string();
        }
        values(layer.forward(x.clone()))
    };
    assert_eq!(sample(false), sample(true));
}

/// A test for each of what must be refused, with the words it must be refused with.
macro_rules! refuses {
    ($($name:ident: $words:literal, $run:expr;)+) => {$(
        #[test]
        #[should_panic(expected = $words)]
        fn $name() {
            let device = Device::flex();
            let run: fn(&Device) = $run;
            run(&device);
        }
    )+};
}

refuses! {
    a_convolution_without_channels_is_refused:
        "at least one input and one output channel, got 0 and 3",
        |device| drop(BayesianConv1dConfig::new(0, 3, 2).init(device));
    a_transposed_convolution_without_channels_is_refused:
        "at least one input and one output channel, got 3 and 0",
        |device| drop(BayesianConvTranspose3dConfig::new([3, 0], [2, 2, 2]).init(device));
    a_kernel_of_size_zero_is_refused:
        "kernel size must be at least 1 on each axis, got [3, 0]",
        |device| drop(BayesianConv2dConfig::new([1, 1], [3, 0]).init(device));
    a_stride_of_zero_is_refused:
        "stride must be at least 1 on each axis, got [0, 1]",
        |device| drop(BayesianConv2dConfig::new([1, 1], [3, 3]).with_stride([0, 1]).init(device));
    a_dilation_of_zero_is_refused:
        "dilation must be at least 1 on each axis, got [0]",
        |device| drop(BayesianConvTranspose1dConfig::new([1, 1], 3).with_dilation(0).init(device));
    groups_that_do_not_divide_the_channels_are_refused:
        "got 4 input and 6 output channels in 4 groups",
        |device| drop(BayesianConv2dConfig::new([4, 6], [3, 3]).with_groups(4).init(device));
    zero_groups_are_refused:
        "got 4 input and 6 output channels in 0 groups",
        |device| drop(BayesianConvTranspose2dConfig::new([4, 6], [3, 3]).with_groups(0).init(device));
    an_impossible_deviation_is_refused:
        "got -1",
        |device| drop(BayesianConv2dConfig::new([4, 6], [3, 3]).with_posterior(PosteriorConfig::normal(-1.0)).init(device));
    a_kernel_larger_than_its_input_is_refused:
        "on axis 1 of [6, 4], 5 (kernel 5, dilation 1) over 4 (4 before padding)",
        |device| drop(BayesianConv2dConfig::new([1, 1], [3, 5]).init(device).forward(Tensor::ones([1, 1, 6, 4], device)));
    a_kernel_larger_than_its_padded_input_is_refused:
        "on axis 0 of [2], 9 (kernel 5, dilation 2) over 8 (2 before padding)",
        |device| drop(
            BayesianConv1dConfig::new(1, 1, 5)
                .with_dilation(2)
                .with_padding(PaddingConfig1d::Explicit(2, 4))
                .init(device)
                .forward(Tensor::ones([1, 1, 2], device))
        );
    a_dilated_kernel_that_the_padding_does_not_make_room_for_is_refused:
        "on axis 2 of [3, 3, 2], 9 (kernel 3, dilation 4) over 4 (2 before padding)",
        |device| drop(
            BayesianConv3dConfig::new([1, 1], [1, 1, 3])
                .with_dilation([1, 1, 4])
                .with_padding(PaddingConfig3d::Explicit(0, 0, 1))
                .init(device)
                .forward(Tensor::ones([1, 1, 3, 3, 2], device))
        );
    padding_that_leaves_nothing_of_a_transposed_convolution_is_refused:
        "on axis 1 of [2, 2], twice 2 of 4",
        |device| drop(
            BayesianConvTranspose2dConfig::new([1, 1], [3, 3])
                .with_padding([1, 2])
                .init(device)
                .forward(Tensor::ones([1, 1, 2, 2], device))
        );
    an_input_with_the_wrong_channels_is_refused:
        "got: 3, expected: 2",
        |device| drop(BayesianConv2dConfig::new([2, 1], [1, 1]).init(device).forward(Tensor::ones([1, 3, 2, 2], device)));
    a_transposed_convolutions_input_with_the_wrong_channels_is_refused:
        "got: 3, expected: 2",
        |device| drop(
            BayesianConvTranspose1dConfig::new([2, 1], 1).init(device).forward(Tensor::ones([1, 3, 2], device))
        );
}
