//! LeNet-5 (LeCun, Bottou, Bengio & Haffner, *Gradient-based learning applied to document recognition*, 1998),
//! Bayesian.

use burn::config::Config;
use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, assert_shape};

use crate::conv::{BayesianConv2d, BayesianConv2dConfig};
use crate::estimator::Estimator;
use crate::linear::{BayesianLinear, BayesianLinearConfig};
use crate::moments::{ForwardMoments, Moments};
use crate::weights::{WeightsConfig, configures_weights};
use crate::windows::pool;

/// Configuration to create a [`LeNet`] using the [init function](LeNetConfig::init).
///
/// | field | default | meaning |
/// |---|---|---|
/// | `classes` | | the number of classes |
/// | `channels` | 1 | channels of the images |
/// | `image_size` | 28 × 28 | height and width of the images |
/// | `padding` | 2 | zeros around the images; 0 for images that bring their own margin, as the original's 32 × 32 |
/// | `weights` | [`WeightsConfig`]'s | posterior, prior and initial means of all weights |
/// | `estimator` | shared weights | how the layers' outputs are sampled |
#[derive(Config, Debug)]
pub struct LeNetConfig {
    /// The number of classes.
    pub classes: usize,
    /// The number of channels of the images.
    #[config(default = 1)]
    pub channels: usize,
    /// Height and width of the images.
    #[config(default = "[28, 28]")]
    pub image_size: [usize; 2],
    /// Zeros on each side of the images.
    #[config(default = 2)]
    pub padding: usize,
    /// The posterior, the prior and the initial means of all weights.
    #[config(default = "WeightsConfig::new()")]
    pub weights: WeightsConfig,
    /// How the layers' outputs are sampled.
    #[config(default = "Estimator::SharedWeights")]
    pub estimator: Estimator,
}

/// LeNet-5 as it is built today: two convolutions of 5×5 to 6 and 16 channels, each followed by ReLU and max pooling of
/// 2×2, then fully connected layers of 120, 84 and one unit a class.
///
/// The paper's has sigmoidal units, averaging with trained coefficients, a sparse table of connections between the two
/// convolutions and radial basis functions at the end. The padding makes of MNIST's 28×28 the original's 32×32 and so
/// 61,706 weights for ten classes; with a padding of 0 it is the variant, of 44,426, in which the second pooling leaves
/// 4×4 positions.
///
/// Should be created with [`LeNetConfig`].
///
/// ```
/// use blitz_layers::models::LeNetConfig;
/// use blitz_layers::prelude::*;
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let net = LeNetConfig::new(10).with_estimator(Estimator::Flipout).init(&device);
/// assert_eq!(net.num_bayesian_weights(), 61_706);
/// let images = Tensor::<4>::zeros([2, 1, 28, 28], &device);
/// let logits = net.with_draw(1, 0, |net| net.forward(images));
/// assert_eq!(logits.dims(), [2, 10]);
/// ```
#[derive(Module, Debug)]
pub struct LeNet {
    /// The first convolution, to 6 channels.
    pub conv1: BayesianConv2d,
    /// The second convolution, to 16 channels.
    pub conv2: BayesianConv2d,
    /// The first fully connected layer, of 120 units.
    pub fc1: BayesianLinear,
    /// The second, of 84 units.
    pub fc2: BayesianLinear,
    /// The last, of one unit a class.
    pub fc3: BayesianLinear,
    /// The pooling after each convolution.
    pub pool: MaxPool2d,
    /// Channels, height and width of the images.
    pub image: [usize; 3],
}

/// The size of both kernels.
const KERNEL: usize = 5;

configures_weights! {
    LeNetConfig => LeNet, ;
    /// Panics if there are no classes or channels, if the images are too small for both convolutions and poolings, or
    /// if the [estimator](Estimator) doesn't allow a posterior.
}

impl LeNetConfig {
    /// The means alone.
    fn deterministic(&self, device: &Device) -> LeNet {
        let [height, width] = self.image_size;
        let positions = self.pooled(height) * self.pooled(width);
        assert!(
            positions > 0,
            "images of {height} × {width} with {} zeros on each side are too small for LeNet's two convolutions and poolings",
            self.padding
        );
        let conv = |channels, pad| {
            BayesianConv2dConfig::new(channels, [KERNEL; 2])
                .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
                .with_weights(self.weights.clone())
                .with_estimator(self.estimator)
                .deterministic(device)
        };
        let linear = |d_input, d_output| {
            BayesianLinearConfig::new(d_input, d_output)
                .with_weights(self.weights.clone())
                .with_estimator(self.estimator)
                .deterministic(device)
        };
        LeNet {
            conv1: conv([self.channels, 6], self.padding),
            conv2: conv([6, 16], 0),
            fc1: linear(16 * positions, 120),
            fc2: linear(120, 84),
            fc3: linear(84, self.classes),
            pool: MaxPool2dConfig::new([2, 2]).init(),
            image: [self.channels, height, width],
        }
    }

    /// What both convolutions and poolings leave of an axis.
    fn pooled(&self, size: usize) -> usize {
        let convolved = |size: usize| size.saturating_sub(KERNEL - 1);
        convolved(convolved(size + 2 * self.padding) / 2) / 2
    }
}

impl LeNet {
    /// The logits of a batch of images.
    ///
    /// # Shapes
    ///
    /// - images: `[batch_size, channels, height, width]`
    /// - output: `[batch_size, classes]`
    ///
    /// # Randomness
    ///
    /// Under an open [draw](blitz_core::Draw), its joint sample of the weights; otherwise each layer samples afresh.
    ///
    /// # Panics
    ///
    /// Panics if the images don't have the channels and the size of the configuration.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let [channels, height, width] = self.image;
        assert_shape!(images, [_, channels, height, width]);
        // The largest of what is left of negative values is what is left of the largest: a quarter of the work.
        let x = relu(pool(&self.pool, self.conv1.forward(images)));
        let x = relu(pool(&self.pool, self.conv2.forward(x)));
        let x = relu(self.fc1.forward(x.flatten::<2>(1, 3)));
        let x = relu(self.fc2.forward(x));
        self.fc3.forward(x)
    }
}

/// The moments of the logits.
impl ForwardMoments<Moments<4>> for LeNet {
    type Output = Moments<2>;

    /// # Panics
    ///
    /// As [`forward`](LeNet::forward).
    fn forward_moments(&self, images: Moments<4>) -> Moments<2> {
        let [channels, height, width] = self.image;
        assert_shape!(images.mean, [_, channels, height, width]);
        let pooled = |x: Moments<4>| self.pool.forward_moments(x).relu();
        let x = pooled(self.conv1.forward_moments(images));
        let x = pooled(self.conv2.forward_moments(x));
        let x = self.fc1.forward_moments(x.flatten::<2>(1, 3)).relu();
        let x = self.fc2.forward_moments(x).relu();
        self.fc3.forward_moments(x)
    }
}
