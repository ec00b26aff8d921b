//! The VGG networks (Simonyan & Zisserman, *Very deep convolutional networks for large-scale image recognition*, 2015),
//! Bayesian.

use burn::config::Config;
use burn::module::Module;
use burn::nn::pool::{AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig, MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Initializer, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use crate::conv::{BayesianConv2d, BayesianConv2dConfig};
use crate::estimator::Estimator;
use crate::linear::{BayesianLinear, BayesianLinearConfig};
use crate::moments::{ForwardMoments, Moments};
use crate::weights::{WeightsConfig, configures_weights};
use crate::windows::pool;

/// How many layers of a [`Vgg`] have weights: the columns A, B, D and E of the paper's table 1.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum VggDepth {
    /// Eight convolutions and three fully connected layers.
    Vgg11,
    /// Ten convolutions and three fully connected layers.
    Vgg13,
    /// Thirteen convolutions and three fully connected layers.
    Vgg16,
    /// Sixteen convolutions and three fully connected layers.
    Vgg19,
}

impl VggDepth {
    /// The convolutions in each of the five blocks.
    fn convolutions(self) -> [usize; 5] {
        match self {
            Self::Vgg11 => [1, 1, 2, 2, 2],
            Self::Vgg13 => [2, 2, 2, 2, 2],
            Self::Vgg16 => [2, 2, 3, 3, 3],
            Self::Vgg19 => [2, 2, 4, 4, 4],
        }
    }
}

/// Configuration to create a [`Vgg`] using the [init function](VggConfig::init).
///
/// | field | default | meaning |
/// |---|---|---|
/// | `depth` | | the variant |
/// | `classes` | | the number of classes |
/// | `channels` | 3 | channels of the images |
/// | `batch_norm` | false | a batch normalization after each convolution; it stays deterministic |
/// | `width` | 64 | channels of the first block; the others have 2, 4, 8 and 8 times as many |
/// | `pooled_size` | 7 | height and width of what the convolutions hand to the fully connected layers |
/// | `hidden` | 4096 | units of each of the two hidden fully connected layers |
/// | `dropout` | 0.5 | the probability of dropping one of them, in training |
/// | `weights` | [`WeightsConfig`]'s | posterior, prior and initial means of all weights; the means start at Kaiming's normals for ReLU |
/// | `estimator` | shared weights | how the layers' outputs are sampled |
///
/// The defaults are for images of 224×224, and then more than a hundred million weights with two parameters each. For
/// 32×32, at which the last block leaves one position, `with_pooled_size(1).with_hidden(512)` has the same convolutions
/// and none of the 120 million weights behind them.
#[derive(Config, Debug)]
pub struct VggConfig {
    /// The variant.
    pub depth: VggDepth,
    /// The number of classes.
    pub classes: usize,
    /// The number of channels of the images.
    #[config(default = 3)]
    pub channels: usize,
    /// Whether a batch normalization follows each convolution.
    #[config(default = false)]
    pub batch_norm: bool,
    /// The channels of the first block.
    #[config(default = 64)]
    pub width: usize,
    /// Height and width of what the convolutions hand to the fully connected layers.
    #[config(default = 7)]
    pub pooled_size: usize,
    /// The units of each of the two hidden fully connected layers.
    #[config(default = 4096)]
    pub hidden: usize,
    /// The probability of dropping a hidden unit in training.
    #[config(default = 0.5)]
    pub dropout: f64,
    /// The posterior, the prior and the initial means of all weights.
    #[config(default = "WeightsConfig::new()")]
    pub weights: WeightsConfig,
    /// How the layers' outputs are sampled.
    #[config(default = "Estimator::SharedWeights")]
    pub estimator: Estimator,
}

/// A VGG network: five blocks of 3×3 convolutions with ReLU, each ending in max pooling of 2×2; adaptive average
/// pooling; two hidden fully connected layers with ReLU and dropout; one unit a class.
///
/// Its batch normalizations, where configured, are Burn's and deterministic. In training, each draw of a step adds to
/// their running statistics.
///
/// Should be created with [`VggConfig`].
///
/// ```
/// use blitz_layers::models::VggConfig;
/// use blitz_layers::prelude::*;
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// // Of a size for images of 32×32 on a CPU.
/// let net = VggConfig::vgg11(10)
///     .with_batch_norm(true)
///     .with_width(4)
///     .with_pooled_size(1)
///     .with_hidden(32)
///     .init(&device);
/// let images = Tensor::<4>::zeros([2, 3, 32, 32], &device);
/// let logits = net.with_draw(1, 0, |net| net.forward(images));
/// assert_eq!(logits.dims(), [2, 10]);
/// ```
#[derive(Module, Debug)]
pub struct Vgg {
    /// The five blocks of convolutions.
    pub blocks: Vec<VggBlock>,
    /// The pooling between the convolutions and the fully connected layers.
    pub pool: AdaptiveAvgPool2d,
    /// The first hidden fully connected layer.
    pub fc1: BayesianLinear,
    /// The second.
    pub fc2: BayesianLinear,
    /// The last layer, of one unit a class.
    pub fc3: BayesianLinear,
    /// The dropout after each hidden fully connected layer.
    pub dropout: Dropout,
}

/// Some convolutions and a pooling of a [`Vgg`].
#[derive(Module, Debug)]
pub struct VggBlock {
    /// The convolutions, each with its ReLU.
    pub convolutions: Vec<VggConvolution>,
    /// The pooling at the end.
    pub pool: MaxPool2d,
}

/// One convolution of a [`Vgg`], which keeps the size of its images, and its normalization.
#[derive(Module, Debug)]
pub struct VggConvolution {
    /// The convolution.
    pub conv: BayesianConv2d,
    /// The normalization.
    pub norm: Option<BatchNorm>,
}

/// Five poolings leave one position of as many.
const SMALLEST_IMAGE: usize = 32;

configures_weights! {
    VggConfig => Vgg, ;
    /// Panics if a size is zero, the dropout is not in [0, 1), or the [estimator](Estimator) doesn't allow a posterior.
}

impl VggConfig {
    /// The variant of 11 layers.
    pub fn vgg11(classes: usize) -> Self {
        Self::new(VggDepth::Vgg11, classes)
    }

    /// The variant of 13 layers.
    pub fn vgg13(classes: usize) -> Self {
        Self::new(VggDepth::Vgg13, classes)
    }

    /// The variant of 16 layers.
    pub fn vgg16(classes: usize) -> Self {
        Self::new(VggDepth::Vgg16, classes)
    }

    /// The variant of 19 layers.
    pub fn vgg19(classes: usize) -> Self {
        Self::new(VggDepth::Vgg19, classes)
    }

    /// The means alone.
    fn deterministic(&self, device: &Device) -> Vgg {
        assert!(
            self.width > 0 && self.pooled_size > 0,
            "a VGG network's width and pooled size must be at least 1, got {} and {}",
            self.width,
            self.pooled_size
        );
        let mut weights = self.weights.clone();
        weights
            .initializer
            .get_or_insert(Initializer::KaimingNormal {
                gain: 2f64.sqrt(),
                fan_out_only: false,
            });
        let linear = |d_input, d_output| {
            BayesianLinearConfig::new(d_input, d_output)
                .with_weights(weights.clone())
                .with_estimator(self.estimator)
                .deterministic(device)
        };
        let widths = [1, 2, 4, 8, 8].map(|times| times * self.width);
        let mut channels = self.channels;
        let blocks = widths.into_iter().zip(self.depth.convolutions());
        let blocks = blocks.map(|(width, count)| {
            let convolutions = (0..count).map(|_| {
                let conv = BayesianConv2dConfig::new([channels, width], [3, 3])
                    .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                    .with_weights(weights.clone())
                    .with_estimator(self.estimator);
                channels = width;
                VggConvolution {
                    conv: conv.deterministic(device),
                    norm: self
                        .batch_norm
                        .then(|| BatchNormConfig::new(width).init(device)),
                }
            });
            VggBlock {
                convolutions: convolutions.collect(),
                pool: MaxPool2dConfig::new([2, 2]).init(),
            }
        });
        let blocks = blocks.collect();
        let features = channels * self.pooled_size.pow(2);
        Vgg {
            blocks,
            pool: AdaptiveAvgPool2dConfig::new([self.pooled_size; 2]).init(),
            fc1: linear(features, self.hidden),
            fc2: linear(self.hidden, self.hidden),
            fc3: linear(self.hidden, self.classes),
            dropout: DropoutConfig::new(self.dropout).init(),
        }
    }
}

impl Vgg {
    /// The logits of a batch of images.
    ///
    /// # Shapes
    ///
    /// - images: `[batch_size, channels, height, width]`, with height and width of at least 32
    /// - output: `[batch_size, classes]`
    ///
    /// # Randomness
    ///
    /// Under an open [draw](blitz_core::Draw), its joint sample of the weights; otherwise each layer samples afresh. On
    /// an autodiff device dropout adds its own.
    ///
    /// # Panics
    ///
    /// Panics if the images are smaller, or don't have the channels of the configuration.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let [_, _, height, width] = images.dims();
        assert_large_enough(height, width);
        let x = self.blocks.iter().fold(images, |x, block| block.forward(x));
        let x = self.pool.forward(x).flatten::<2>(1, 3);
        let x = self.dropout.forward(relu(self.fc1.forward(x)));
        let x = self.dropout.forward(relu(self.fc2.forward(x)));
        self.fc3.forward(x)
    }
}

impl VggBlock {
    /// Half the height and width, with the block's channels.
    ///
    /// # Shapes
    ///
    /// - input: `[batch_size, channels_in, height, width]`
    /// - output: `[batch_size, channels_out, height / 2, width / 2]`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let convolutions = self.convolutions.iter();
        let x = convolutions.fold(input, |x, convolution| convolution.forward(x));
        pool(&self.pool, x)
    }
}

impl VggConvolution {
    /// The convolution, its normalization if there is one, and ReLU.
    ///
    /// # Shapes
    ///
    /// - input: `[batch_size, channels_in, height, width]`
    /// - output: `[batch_size, channels_out, height, width]`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let x = self.conv.forward(input);
        relu(match &self.norm {
            Some(norm) => norm.forward(x),
            None => x,
        })
    }
}

/// The moments of the logits.
impl ForwardMoments<Moments<4>> for Vgg {
    type Output = Moments<2>;

    /// # Panics
    ///
    /// As [`forward`](Vgg::forward).
    fn forward_moments(&self, images: Moments<4>) -> Moments<2> {
        let [_, _, height, width] = images.dims();
        assert_large_enough(height, width);
        let blocks = self.blocks.iter();
        let x = blocks.fold(images, |x, block| block.forward_moments(x));
        let x = self.pool.forward_moments(x).flatten::<2>(1, 3);
        // Dropout drops nothing in prediction.
        let x = self.fc1.forward_moments(x).relu();
        let x = self.fc2.forward_moments(x).relu();
        self.fc3.forward_moments(x)
    }
}

impl ForwardMoments<Moments<4>> for VggBlock {
    type Output = Moments<4>;

    fn forward_moments(&self, input: Moments<4>) -> Moments<4> {
        let convolutions = self.convolutions.iter();
        let x = convolutions.fold(input, |x, convolution| convolution.forward_moments(x));
        self.pool.forward_moments(x)
    }
}

impl ForwardMoments<Moments<4>> for VggConvolution {
    type Output = Moments<4>;

    fn forward_moments(&self, input: Moments<4>) -> Moments<4> {
        let x = self.conv.forward_moments(input);
        match &self.norm {
            Some(norm) => norm.forward_moments(x).relu(),
            None => x.relu(),
        }
    }
}

fn assert_large_enough(height: usize, width: usize) {
    assert!(
        height >= SMALLEST_IMAGE && width >= SMALLEST_IMAGE,
        "five poolings leave nothing of images smaller than {SMALLEST_IMAGE} × {SMALLEST_IMAGE}, got {height} × {width}"
    );
}
