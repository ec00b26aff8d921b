//! The moments of layers against draws of them, and against Burn's layers where the deviations vanish.

use blitz_core::noise::NoiseKey;
use blitz_core::{LaplacePosteriorConfig, RadialPosteriorConfig};
use blitz_layers::conv::*;
use blitz_layers::models::{LeNetConfig, VggConfig};
use blitz_layers::moments::{ForwardMoments, Moments};
use blitz_layers::prelude::*;
use burn::module::{Module, RunningState};
use burn::nn::conv::*;
use burn::nn::pool::*;
use burn::nn::*;
use burn::tensor::activation::{relu, tanh};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use crate::seeded::{normals, seeded, seeded_for_relu, seeded_throughout};
use crate::statistics::{GATE, assert_mean, values};

const DRAWS: u64 = 6000;

/// Panics unless samples of any distribution have this variance, by the standard error of theirs.
fn assert_variance(samples: &[Vec<f64>], mean: &[f64], variance: &[f64], what: &str) {
    let n = samples.len() as f64;
    for (i, expected) in variance.iter().enumerate() {
        let squares = || samples.iter().map(|sample| (sample[i] - mean[i]).powi(2));
        let measured = squares().sum::<f64>() / n;
        let of_squares = squares().map(|square| (square - measured).powi(2));
        let standard_error = (of_squares.sum::<f64>() / (n * (n - 1.0))).sqrt();
        let off = (measured - expected).abs();
        assert!(
            off <= GATE * standard_error + 1e-9,
            "{what}: the variance of value {i} is {measured} for {expected}, {} standard errors off",
            off / standard_error
        );
    }
}

/// Draws of a batch of independent normals.
fn drawn<const D: usize>(input: &Moments<D>, index: u64) -> Tensor<D> {
    let mut noise = vec![0.0; input.mean.shape().num_elements()];
    NoiseKey::new(91, index, 0).fill_standard_normal(0, &mut noise);
    let noise = Tensor::<D>::from_data(TensorData::new(noise, input.dims()), &input.mean.device());
    input.mean.clone() + noise * input.std_dev()
}

/// An input whose elements have means and deviations of their own.
fn uncertain<const D: usize>(shape: [usize; D]) -> Moments<D> {
    let device = Device::flex();
    let variance = normals(72, shape, &device).square() * 0.3 + 0.05;
    Moments::new(normals(71, shape, &device), variance)
}

/// Panics unless what `moments` says of the output of `layer` is what its draws say, for certain and for uncertain
/// inputs.
fn assert_as_drawn<M, const I: usize, const O: usize>(
    layer: &M,
    shape: [usize; I],
    forward: impl Fn(&M, Tensor<I>) -> Tensor<O>,
    what: &str,
) where
    M: Module + ForwardMoments<Moments<I>, Output = Moments<O>>,
{
    let uncertain = uncertain(shape);
    for input in [Moments::certain(uncertain.mean.clone()), uncertain] {
        let moments = layer.with_moments(|layer| layer.forward_moments(input.clone()));
        let moments = moments.unwrap_or_else(|error| panic!("{what}: {error}"));
        let samples: Vec<_> = (0..DRAWS)
            .map(|index| {
                let input = drawn(&input, index);
                values(layer.with_draw(31, index, |layer| forward(layer, input)))
            })
            .collect();
        let (mean, variance) = (values(moments.mean.clone()), values(moments.variance()));
        assert_eq!(moments.mean.dims(), moments.variance().dims(), "{what}");
        assert_mean(&samples, &mean, what);
        assert_variance(&samples, &mean, &variance, what);
    }
}

macro_rules! as_drawn {
    ($layer:expr, $shape:expr, $what:expr) => {
        assert_as_drawn(&$layer, $shape, |layer, input| layer.forward(input), $what)
    };
}

fn bayesian<M: Module>(layer: M) -> M {
    let posterior = PosteriorConfig::normal(0.3);
    seeded_throughout(layer, 5).bayesianize(&BayesianizeConfig::new().with_posterior(posterior))
}

#[test]
fn linear_layers_have_the_moments_of_their_draws() {
    let device = Device::flex();
    as_drawn!(
        bayesian(LinearConfig::new(3, 2).init(&device)),
        [2, 3],
        "Burn's"
    );
    for bias in [true, false] {
        let config = BayesianLinearConfig::new(3, 2)
            .with_bias(bias)
            .with_posterior(PosteriorConfig::normal(0.3));
        let layer = seeded_throughout(config.init(&device), 6);
        as_drawn!(layer, [2, 2, 3], &format!("bias {bias}"));
    }
}

#[test]
fn uncorrelated_posteriors_of_any_family_have_exact_moments() {
    let device = Device::flex();
    let config = BayesianLinearConfig::new(3, 2);
    let posteriors = [
        PosteriorConfig::Laplace(LaplacePosteriorConfig::new().with_initial_std(0.3)),
        PosteriorConfig::Radial(RadialPosteriorConfig::new().with_initial_std(0.3)),
    ];
    for posterior in posteriors {
        let what = format!("{posterior:?}");
        let layer = config.clone().with_posterior(posterior).init(&device);
        as_drawn!(seeded_throughout(layer, 7), [2, 3], &what);
    }
}

#[test]
fn a_full_rank_posterior_has_exact_moments_in_linear_layers() {
    let device = Device::flex();
    let posterior = PosteriorConfig::full_rank_normal(0.3);
    let config = BayesianLinearConfig::new(3, 2).with_posterior(posterior.clone());
    let layer = seeded_throughout(config.init(&device), 7);
    as_drawn!(layer, [2, 2, 3], "full rank");
    let burns = LinearConfig::new(3, 2).with_bias(false).init(&device);
    let config = BayesianizeConfig::new().with_posterior(posterior);
    as_drawn!(
        seeded_throughout(burns.bayesianize(&config), 8),
        [4, 3],
        "full rank, Burn's"
    );
}

#[test]
fn convolutions_have_the_moments_of_their_draws() {
    let device = Device::flex();
    let posterior = PosteriorConfig::normal(0.3);
    let layer = Conv1dConfig::new(2, 2, 3).with_stride(2).init(&device);
    as_drawn!(bayesian(layer), [1, 2, 7], "Burn's Conv1d");
    let layer = Conv2dConfig::new([2, 4], [3, 2])
        .with_groups(2)
        .init(&device);
    as_drawn!(bayesian(layer), [1, 2, 4, 3], "Burn's Conv2d");
    let layer = Conv3dConfig::new([1, 2], [2, 2, 2]).init(&device);
    as_drawn!(bayesian(layer), [1, 1, 3, 2, 2], "Burn's Conv3d");
    let layer = BayesianConv2dConfig::new([2, 2], [2, 2])
        .with_padding(PaddingConfig2d::Same)
        .with_estimator(Estimator::Flipout)
        .with_posterior(posterior.clone())
        .init(&device);
    // Each row's weights are a draw, whichever estimator draws them.
    as_drawn!(seeded_throughout(layer, 8), [1, 2, 3, 2], "BayesianConv2d");
    let layer = BayesianConv3dConfig::new([1, 1], [2, 1, 2])
        .with_padding(PaddingConfig3d::Same)
        .with_posterior(posterior)
        .init(&device);
    as_drawn!(
        seeded_throughout(layer, 9),
        [1, 1, 3, 2, 2],
        "BayesianConv3d"
    );
}

#[test]
fn transposed_convolutions_have_the_moments_of_their_draws() {
    let device = Device::flex();
    let posterior = PosteriorConfig::normal(0.3);
    let layer = ConvTranspose1dConfig::new([2, 2], 3)
        .with_stride(2)
        .init(&device);
    as_drawn!(bayesian(layer), [1, 2, 3], "Burn's ConvTranspose1d");
    let layer = ConvTranspose2dConfig::new([2, 2], [2, 2])
        .with_padding([1, 0])
        .init(&device);
    as_drawn!(bayesian(layer), [1, 2, 3, 2], "Burn's ConvTranspose2d");
    let layer = ConvTranspose3dConfig::new([1, 1], [2, 2, 1]).init(&device);
    as_drawn!(bayesian(layer), [1, 1, 2, 2, 2], "Burn's ConvTranspose3d");
    let layer = BayesianConvTranspose2dConfig::new([2, 2], [2, 2])
        .with_stride([2, 1])
        .with_posterior(posterior)
        .init(&device);
    as_drawn!(
        seeded_throughout(layer, 8),
        [1, 2, 2, 2],
        "BayesianConvTranspose2d"
    );
}

#[test]
fn a_batch_norm_in_prediction_has_the_moments_of_its_draws() {
    let device = Device::flex().autodiff();
    let norm = BatchNormConfig::new(2).init(&device);
    // Running statistics other than the first.
    let _ = norm.forward(normals::<3>(3, [5, 2, 4], &device) * 2.0 + 1.0);
    // The layer keeps them apart for one step more; `valid()` takes them in.
    let once = values(
        norm.forward_moments(normals::<3>(4, [2, 2, 3], &device))
            .mean,
    );
    let expected = norm
        .valid()
        .forward(normals::<3>(4, [2, 2, 3], &Device::flex()));
    for (got, expected) in once.iter().zip(values(expected)) {
        assert!((got - expected).abs() < 1e-5, "{got} for {expected}");
    }
    let posterior = PosteriorConfig::normal(0.3);
    let norm = norm.bayesianize(&BayesianizeConfig::new().with_posterior(posterior));
    as_drawn!(norm.valid(), [2, 2, 3], "batch norm");
}

#[test]
fn a_batch_norm_far_from_zero_keeps_its_digits() {
    let normed = |mean: f64, variance: f64, x: f64, dtype| {
        let device = Device::flex();
        let one = |value| Tensor::<1>::full([1], value, (&device, dtype));
        let mut norm = BatchNormConfig::new(1).init(&device);
        norm.gamma = norm.gamma.map(|gamma| gamma.cast(dtype));
        norm.beta = norm.beta.map(|beta| beta.cast(dtype));
        norm.running_mean = RunningState::new(one(mean));
        norm.running_var = RunningState::new(one(variance));
        let x = Tensor::<2>::full([1, 1], x, (&device, dtype));
        let once = norm.forward_moments(x.clone()).mean;
        [once, norm.forward(x)].map(|y| y.into_scalar::<f64>())
    };
    // A step of `f32` from a mean of 4096, in deviations of 0.01; and a channel that was nearly constant at 300, whose
    // scale of 316 makes no number of `f16`.
    let [once, burn] = normed(4096.0, 1e-4, 4096.0 + 1.0 / 2048.0, DType::F32);
    assert!(
        (burn - 0.0466).abs() < 1e-4 && (once - burn).abs() < 1e-6,
        "{once} for {burn}"
    );
    let [once, burn] = normed(300.0, 0.0, 300.0, DType::F16);
    assert_eq!((once, burn), (0.0, 0.0));
}

#[test]
#[should_panic(expected = "axis 1 expected 8, got 1")]
fn a_batch_norm_of_other_channels_is_refused() {
    let norm = BatchNormConfig::new(8).init(&Device::flex());
    let _ = norm.forward_moments(uncertain([2, 1, 3, 3]));
}

#[test]
fn embeddings_have_the_moments_of_their_draws() {
    let device = Device::flex();
    let words = || Tensor::<2, Int>::from_ints([[3, 0, 1], [4, 4, 2]], &Device::flex());
    let burn = bayesian(EmbeddingConfig::new(5, 2).init(&device));
    let config = BayesianEmbeddingConfig::new(5, 2).with_padding_idx(Some(0));
    let padded = config
        .with_posterior(PosteriorConfig::normal(0.3))
        .init(&device);
    let check = |samples: Vec<Vec<f64>>, moments: Moments<3>, what| {
        let (mean, variance) = (values(moments.mean.clone()), values(moments.variance()));
        assert_mean(&samples, &mean, what);
        assert_variance(&samples, &mean, &variance, what);
        variance
    };
    let draws = |index| values(burn.with_draw(3, index, |layer| layer.forward(words())));
    let moments = burn.with_moments(|layer| layer.forward_moments(words()));
    check((0..DRAWS).map(draws).collect(), moments.unwrap(), "Burn's");
    let draws = |index| values(padded.with_draw(3, index, |layer| layer.forward(words())));
    let moments = padded.with_moments(|layer| layer.forward_moments(words()));
    let variance = check((0..DRAWS).map(draws).collect(), moments.unwrap(), "blitz's");
    assert_eq!(&variance[2..4], [0.0, 0.0]);
}

#[test]
fn monte_carlo_dropout_has_the_moments_of_its_draws() {
    as_drawn!(McDropoutConfig::new(0.3).init(), [2, 3], "dropout");
}

#[test]
fn average_pooling_has_the_moments_of_independent_elements() {
    let same = PaddingConfig2d::Same;
    let config = AvgPool2dConfig::new([2, 3])
        .with_strides([1, 2])
        .with_padding(same);
    for include in [true, false] {
        let pool = config.clone().with_count_include_pad(include).init();
        as_drawn!(pool, [1, 1, 3, 4], &format!("padding counted: {include}"));
    }
    let config = AvgPool2dConfig::new([2, 2]).with_ceil_mode(true);
    as_drawn!(config.init(), [1, 1, 3, 5], "ceil");
    let config = AvgPool1dConfig::new(3).with_stride(1);
    as_drawn!(config.init(), [1, 2, 5], "1d");
    as_drawn!(
        AdaptiveAvgPool2dConfig::new([2, 3]).init(),
        [1, 1, 3, 5],
        "adaptive"
    );
    as_drawn!(
        AdaptiveAvgPool1dConfig::new(2).init(),
        [1, 1, 5],
        "adaptive 1d"
    );
}

#[test]
fn a_window_of_padding_alone_has_a_certain_average() {
    let padded = AvgPool1dConfig::new(2).with_stride(1);
    let padded = padded.with_padding(PaddingConfig1d::Explicit(2, 2));
    let output = padded.init().forward_moments(uncertain([1, 1, 3]));
    let (mean, variance) = (values(output.mean.clone()), values(output.variance()));
    assert_eq!((mean.len(), mean[0], mean[5]), (6, 0.0, 0.0));
    assert_eq!((variance[0], variance[5]), (0.0, 0.0));
    assert!(variance[1..5].iter().all(|v| *v > 0.0), "{variance:?}");
    // Rows and columns of nothing but padding.
    let padded = AvgPool2dConfig::new([1, 2]).with_strides([1, 1]);
    let padded = padded.with_padding(PaddingConfig2d::Explicit(1, 0, 0, 2));
    let output = padded.init().forward_moments(uncertain([1, 1, 2, 2]));
    let variance = values(output.variance());
    let certain: Vec<bool> = variance.iter().map(|v| *v == 0.0).collect();
    let (f, t) = (false, true);
    assert_eq!(certain, [t, t, t, f, f, t, f, f, t]);
}

#[test]
fn max_pooling_of_pairs_has_the_moments_of_independent_elements() {
    as_drawn!(MaxPool2dConfig::new([2, 1]).init(), [1, 2, 4, 3], "columns");
    as_drawn!(MaxPool2dConfig::new([1, 2]).init(), [1, 1, 3, 4], "rows");
    let padded = MaxPool1dConfig::new(2).with_stride(2);
    let padded = padded.with_padding(PaddingConfig1d::Explicit(1, 1));
    as_drawn!(padded.init(), [1, 1, 4], "with padding");
}

#[test]
fn a_window_larger_than_the_input_is_pooled_as_burn_pools() {
    let max = MaxPool1dConfig::new(3).with_ceil_mode(true);
    as_drawn!(max.init(), [1, 1, 2], "maximum");
    let average = AvgPool1dConfig::new(3).with_ceil_mode(true);
    as_drawn!(average.init(), [1, 1, 2], "average");
    let average = AvgPool2dConfig::new([3, 2]).with_ceil_mode(true);
    as_drawn!(average.init(), [1, 1, 2, 5], "average of two axes");
}

#[test]
#[should_panic(expected = "a window of 3 elements does not fit into 2")]
fn a_window_that_does_not_fit_is_named() {
    let _ = MaxPool1dConfig::new(3)
        .init()
        .forward_moments(uncertain([1, 1, 2]));
}

/// The maximum of two normals counts as a normal, to which it is near where their deviations are alike.
#[test]
fn max_pooling_of_four_alike_is_within_four_percent_of_the_deviation() {
    let pool = MaxPool2dConfig::new([2, 2]).init();
    let mean = normals(71, [1, 2, 4, 4], &Device::flex());
    let input = Moments::new(mean.clone(), mean.ones_like() * 0.5);
    let moments = pool.forward_moments(input.clone());
    let draw = |index| pool.forward(drawn(&input, index));
    let draws: Tensor<5> = Tensor::stack((0..20_000).map(draw).collect(), 0);
    let (variance, mean) = draws.var_mean(0);
    let (std, mean) = (values(variance.sqrt()), values(mean));
    let of_mean = values(moments.mean.clone());
    let of_std = values(moments.std_dev());
    for i in 0..std.len() {
        let off = (of_mean[i] - mean[i]).abs() / std[i];
        // Of 20,000 draws, 5 standard errors of the mean are 0.035 deviations, and those of the deviation a fortieth of
        // it.
        assert!(off < 0.01 + 0.035, "mean {i}: {off}");
        let off = (of_std[i] / std[i] - 1.0).abs();
        assert!(off < 0.04 + 0.025, "deviation {i}: {off}");
    }
}

#[test]
fn poolings_of_every_option_are_burns_where_nothing_varies() {
    let input = Moments::new(
        normals(4, [2, 2, 7, 6], &Device::flex()),
        Tensor::full([2, 2, 7, 6], 1e-14, &Device::flex()),
    );
    let paddings = [
        PaddingConfig2d::Valid,
        PaddingConfig2d::Same,
        PaddingConfig2d::Explicit(1, 0, 1, 1),
    ];
    for padding in paddings {
        for (kernel, stride, dilation, ceil) in [
            ([3, 2], [1, 2], [1, 1], false),
            ([3, 3], [2, 2], [1, 1], true),
            ([2, 3], [3, 1], [2, 1], false),
        ] {
            if padding == PaddingConfig2d::Same && dilation != [1, 1] {
                continue; // Burn's Same leaves dilation out of account.
            }
            let pool = MaxPool2dConfig::new(kernel)
                .with_strides(stride)
                .with_padding(padding.clone())
                .with_dilation(dilation)
                .with_ceil_mode(ceil)
                .init();
            let output = pool.forward_moments(input.clone()).mean;
            let burn = pool.forward(input.mean.clone());
            assert_eq!(output.dims(), burn.dims(), "{pool}");
            let largest = values((output - burn).abs().max())[0];
            assert!(largest < 1e-6, "{pool}: {largest}");
        }
    }
}

/// To first order, so that there is an error: of a hundredth for hundreds of features.
#[test]
fn a_layer_norm_of_many_features_is_near_its_draws() {
    let device = Device::flex();
    let norm = LayerNormConfig::new(400).init(&device);
    let gamma = normals::<1>(11, [400], &device) * 0.1 + 1.0;
    let mut norm = norm;
    norm.gamma = burn::module::Param::from_tensor(gamma);
    let input = uncertain([1, 400]);
    let moments = norm.forward_moments(input.clone());
    let draws: Vec<_> = (0..4000)
        .map(|index| norm.forward(drawn(&input, index)))
        .collect();
    let draws: Tensor<3> = Tensor::stack(draws, 0);
    let (variance, mean) = draws.var_mean(0);
    let average = |tensor: Tensor<2>| values(tensor.mean())[0];
    // Over all features the noise of 4000 draws vanishes.
    let ratio = average(moments.variance()) / average(variance.squeeze_dim(0));
    assert!((ratio - 1.0).abs() < 0.01, "{ratio}");
    let off = average((moments.mean - mean.squeeze_dim(0)).square()).sqrt();
    assert!(off < 0.02, "{off}");
}

/// Transformers have features far from all others: what such a one varies by is nearly all normalized away.
#[test]
fn a_layer_norm_of_an_outlier_is_near_its_draws() {
    const FEATURES: usize = 64;
    let device = Device::flex();
    let norm = LayerNormConfig::new(FEATURES).init(&device);
    let mut mean = vec![0.0; FEATURES];
    NoiseKey::new(17, 0, 0).fill_standard_normal(0, &mut mean);
    mean[5] = 24.0;
    let mean = Tensor::<2>::from_data(TensorData::new(mean, [1, FEATURES]), &device);
    let input = Moments::new(mean.clone(), mean.full_like(0.09));
    let std = values(norm.forward_moments(input.clone()).std_dev());
    let draws = (0..4000).map(|index| norm.forward(drawn(&input, index)));
    let draws: Tensor<3> = Tensor::stack(draws.collect(), 0);
    let drawn = values(draws.var(0).sqrt());
    for (std, drawn) in std.iter().zip(&drawn) {
        // The noise of 4000 draws is 1.1 %; the outlier's second order is 2 % more.
        assert!((std / drawn - 1.0).abs() < 0.06, "{std}, {drawn}");
    }
    // Over the deviation of the features as a number it would be 0.096.
    assert!(std[5] < 0.03, "{}", std[5]);
}

#[test]
fn a_layer_norm_finds_burns_epsilon() {
    let device = Device::flex();
    for epsilon in [1e-12, 1e-5, 0.3] {
        for features in [1, 2, 7] {
            let norm = LayerNormConfig::new(features)
                .with_epsilon(epsilon)
                .init(&device);
            let x = normals::<2>(12, [3, features], &device) * 0.01;
            let tiny = Moments::new(x.clone(), x.zeros_like());
            let output = norm.forward_moments(tiny);
            let largest = values((output.mean - norm.forward(x)).abs().max())[0];
            assert!(
                largest < 1e-5,
                "ε {epsilon}, {features} features: {largest}"
            );
        }
    }
}

/// Units of a first hidden layer are independent, as their weights are.
#[derive(Module, Debug)]
struct Shallow {
    hidden: BayesianLinear,
    output: Linear,
    smooth: bool,
}

impl Shallow {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let x = self.hidden.forward(x);
        self.output
            .forward(if self.smooth { tanh(x) } else { relu(x) })
    }
}

impl ForwardMoments<Moments<2>> for Shallow {
    type Output = Moments<2>;

    fn forward_moments(&self, x: Moments<2>) -> Moments<2> {
        let x = self.hidden.forward_moments(x);
        let x = if self.smooth { x.tanh() } else { x.relu() };
        self.output.forward_moments(x)
    }
}

#[test]
fn a_network_with_one_hidden_layer_has_exact_moments() {
    let device = Device::flex();
    let x = normals::<2>(61, [3, 2], &device);
    for smooth in [false, true] {
        let posterior = PosteriorConfig::normal(0.3);
        let net = Shallow {
            hidden: seeded(
                BayesianLinearConfig::new(2, 10)
                    .with_posterior(posterior)
                    .init(&device),
                62,
            ),
            output: bayesian(LinearConfig::new(10, 2).init(&device)),
            smooth,
        };
        let moments = net
            .with_moments(|net| net.forward_moments(x.clone()))
            .unwrap();
        let draws = |index| values(net.with_draw(63, index, |net| net.forward(x.clone())));
        let samples: Vec<_> = (0..20_000).map(draws).collect();
        let (mean, variance) = (values(moments.mean.clone()), values(moments.variance()));
        assert_mean(&samples, &mean, "one hidden layer");
        assert_variance(&samples, &mean, &variance, "one hidden layer");
    }
}

#[test]
fn the_models_equal_their_means_as_the_deviation_vanishes() {
    let device = Device::flex();
    let posterior = PosteriorConfig::normal(1e-7);
    let lenet = LeNetConfig::new(10)
        .with_posterior(posterior.clone())
        .init(&device);
    let lenet = seeded_for_relu(lenet, 40);
    let images = normals::<4>(41, [2, 1, 28, 28], &device);
    let moments = lenet
        .with_moments(|net| net.forward_moments(images.clone()))
        .unwrap();
    let mean = lenet.with_mean(|net| net.forward(images));
    assert!(values((moments.mean.clone() - mean).abs().max())[0] < 1e-4);
    assert!(values(moments.std_dev().max())[0] < 1e-4);

    let vgg = VggConfig::vgg11(10)
        .with_batch_norm(true)
        .with_width(2)
        .with_pooled_size(1)
        .with_hidden(8)
        .with_posterior(posterior)
        .init(&device);
    let vgg = seeded_for_relu(vgg, 42);
    let images = normals::<4>(43, [2, 3, 32, 32], &device);
    let moments = vgg
        .with_moments(|net| net.forward_moments(images.clone()))
        .unwrap();
    let mean = vgg.with_mean(|net| net.forward(images));
    assert!(values((moments.mean.clone() - mean).abs().max())[0] < 1e-4);
    assert!(values(moments.std_dev().max())[0] < 1e-4);
}

#[test]
fn single_and_double_precision_agree() {
    let device = Device::flex();
    let layer = bayesian(LinearConfig::new(4, 3).init(&device));
    let double = layer.clone().map(&mut Doubled);
    let x = normals::<2>(14, [2, 4], &device);
    let run = |layer: &Linear, x: Tensor<2>| {
        let input = Moments::new(x.clone(), x.square());
        layer
            .with_moments(|layer| layer.forward_moments(input).relu())
            .unwrap()
    };
    let (single, double) = (run(&layer, x.clone()), run(&double, x.cast(DType::F64)));
    assert_eq!(double.mean.dtype(), DType::F64);
    for (a, b) in [
        (single.mean.clone(), double.mean.clone()),
        (single.variance(), double.variance()),
    ] {
        let pairs = values(a).into_iter().zip(values(b));
        assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 2e-6));
    }
}

struct Doubled;

impl burn::module::ModuleMapper for Doubled {
    fn map_float<const D: usize>(
        &mut self,
        param: burn::module::Param<Tensor<D>>,
    ) -> burn::module::Param<Tensor<D>> {
        param.map(|tensor| tensor.cast(DType::F64))
    }
}
