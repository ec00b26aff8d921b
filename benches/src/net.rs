//! The networks of the benchmarks, of Burn's own layers and of Bayesian ones.

use blitz_train::blitz_layers::models::{LeNet as BayesianLeNet, LeNetConfig};
use blitz_train::blitz_layers::moments::{Correlated, Correlations, ForwardMoments, Moments};
use blitz_train::prelude::*;
use burn::module::{Module, ModuleMapper, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Linear, LinearConfig, Lstm, LstmConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Int, Tensor, TensorData};

/// What a network is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layers {
    /// Burn's own.
    Deterministic,
    /// Burn's own, with the posteriors that IVON trains.
    Ivon,
    /// Mean-field normal posteriors under a standard normal prior, with this estimator.
    Bayesian(Estimator),
}

/// A network with one or more layers; the last layer's output is not activated.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)] // There is one of them.
pub enum Net {
    /// Burn's linear layers with ReLUs between them.
    Mlp(Vec<Linear>),
    /// The same, Bayesian.
    BayesianMlp(Vec<BayesianLinear>),
    /// LeNet-5 of Burn's layers.
    LeNet(LeNet),
    /// The same, Bayesian.
    BayesianLeNet(BayesianLeNet),
    /// Burn's LSTM, of which the last hidden state is read.
    Lstm(Lstm),
    /// The same, Bayesian.
    BayesianLstm(BayesianLstm),
}

/// LeNet-5, the deterministic twin of [`BayesianLeNet`].
#[derive(Module, Debug)]
pub struct LeNet {
    convolutions: [Conv2d; 2],
    linears: [Linear; 3],
    pool: MaxPool2d,
}

/// Examples for a [`Net`], as many as the first axis is long.
#[derive(Debug, Clone)]
pub enum Input {
    /// For an MLP.
    Rows(Tensor<2>),
    /// For a LeNet.
    Images(Tensor<4>),
    /// For an LSTM.
    Sequences(Tensor<3>),
}

impl Net {
    /// Linear layers from each width to the next.
    pub fn mlp(widths: &[usize], layers: Layers, device: &Device) -> Self {
        let pairs = widths.windows(2).map(|w| (w[0], w[1]));
        match layers {
            Layers::Deterministic | Layers::Ivon => Self::Mlp(
                pairs
                    .map(|(input, output)| LinearConfig::new(input, output).init(device))
                    .collect(),
            ),
            Layers::Bayesian(estimator) => Self::BayesianMlp(
                pairs
                    .map(|(input, output)| BayesianLinearConfig::new(input, output))
                    .map(|config| config.with_estimator(estimator).init(device))
                    .collect(),
            ),
        }
    }

    /// LeNet-5 for images of 28 × 28.
    pub fn lenet(layers: Layers, device: &Device) -> Self {
        match layers {
            Layers::Deterministic | Layers::Ivon => Self::LeNet(LeNet {
                convolutions: [
                    Conv2dConfig::new([1, 6], [5, 5])
                        .with_padding(PaddingConfig2d::Explicit(2, 2, 2, 2))
                        .init(device),
                    Conv2dConfig::new([6, 16], [5, 5]).init(device),
                ],
                linears: [(400, 120), (120, 84), (84, 10)]
                    .map(|(input, output)| LinearConfig::new(input, output).init(device)),
                pool: MaxPool2dConfig::new([2, 2]).init(),
            }),
            Layers::Bayesian(estimator) => {
                Self::BayesianLeNet(LeNetConfig::new(10).with_estimator(estimator).init(device))
            }
        }
    }

    /// An LSTM.
    pub fn lstm(d_input: usize, d_hidden: usize, layers: Layers, device: &Device) -> Self {
        match layers {
            Layers::Deterministic | Layers::Ivon => {
                Self::Lstm(LstmConfig::new(d_input, d_hidden, true).init(device))
            }
            Layers::Bayesian(estimator) => Self::BayesianLstm(
                BayesianLstmConfig::new(d_input, d_hidden, true)
                    .with_estimator(estimator)
                    .init(device),
            ),
        }
    }

    /// The output for a batch, `[examples, outputs]`.
    ///
    /// # Panics
    ///
    /// Panics if the input is of another kind than the network's.
    pub fn forward(&self, input: &Input) -> Tensor<2> {
        match (self, input.clone()) {
            (Self::Mlp(layers), Input::Rows(x)) => {
                feed_forward(x, layers.len(), |i, x| layers[i].forward(x))
            }
            (Self::BayesianMlp(layers), Input::Rows(x)) => {
                feed_forward(x, layers.len(), |i, x| layers[i].forward(x))
            }
            (Self::LeNet(net), Input::Images(x)) => net.forward(x),
            (Self::BayesianLeNet(net), Input::Images(x)) => net.forward(x),
            (Self::Lstm(lstm), Input::Sequences(x)) => lstm.forward(x, None).1.hidden,
            (Self::BayesianLstm(lstm), Input::Sequences(x)) => {
                // [layers, batch, hidden]
                lstm.forward(x, None).1.hidden.squeeze_dim(0)
            }
            (net, input) => panic!("{input:?} is no input of {net}"),
        }
    }

    /// The network with means that depend on their place alone, so that a program in another language can have the
    /// same: for a weight from input i to output o `sin(1.3 i + 2.1 o + 0.37 i o) / √inputs`, for a kernel's element
    /// (o, c, h, w) `sin(1.3 o + 2.1 c + 0.7 h + 0.9 w) / √(channels · height · width)`, for a bias zero.
    #[must_use]
    pub fn with_known_means(self) -> Self {
        let set =
            self.map_means(|means| Ok::<_, std::convert::Infallible>(means.map(&mut KnownMeans)));
        let Ok(net) = set;
        net
    }
}

impl Network for Net {
    type Input = Input;
    type Output = Tensor<2>;

    fn forward(&self, input: Input) -> Tensor<2> {
        Net::forward(self, &input)
    }
}

/// Of the MLPs and of the Bayesian LeNet. The others are run as they are, which a pass of moments refuses if they are
/// Bayesian.
impl ForwardMoments<Input> for Net {
    type Output = Moments<2>;

    fn forward_moments(&self, input: Input) -> Moments<2> {
        match (self, input) {
            (Self::Mlp(layers), Input::Rows(x)) => of_mlp(layers, Moments::certain(x)),
            (Self::BayesianMlp(layers), Input::Rows(x)) => of_mlp(layers, Moments::certain(x)),
            (Self::BayesianLeNet(net), Input::Images(x)) => net.forward_moments(x),
            (net, input) => Moments::certain(net.forward(&input)),
        }
    }
}

/// Of the MLPs alone.
impl ForwardMoments<Moments<2, Correlated>> for Net {
    type Output = Moments<2, Correlated>;

    /// # Panics
    ///
    /// Panics of another network, whose layers have no covariances.
    fn forward_moments(&self, x: Moments<2, Correlated>) -> Moments<2, Correlated> {
        match self {
            Self::Mlp(layers) => of_mlp(layers, x),
            Self::BayesianMlp(layers) => of_mlp(layers, x),
            net => panic!("no covariances of {net}"),
        }
    }
}

fn of_mlp<C, L>(layers: &[L], x: Moments<2, C>) -> Moments<2, C>
where
    C: Correlations,
    L: ForwardMoments<Moments<2, C>, Output = Moments<2, C>>,
{
    let numbered = layers.iter().enumerate();
    numbered.fold(x, |x, (i, layer)| match layer.forward_moments(x) {
        x if i + 1 < layers.len() => x.relu(),
        x => x,
    })
}

fn feed_forward(
    x: Tensor<2>,
    layers: usize,
    mut layer: impl FnMut(usize, Tensor<2>) -> Tensor<2>,
) -> Tensor<2> {
    (0..layers).fold(x, |x, i| match layer(i, x) {
        x if i + 1 < layers => relu(x),
        x => x,
    })
}

impl LeNet {
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = self.convolutions.iter().fold(images, |x, convolution| {
            relu(self.pool.forward(convolution.forward(x)))
        });
        let x = x.flatten::<2>(1, 3);
        feed_forward(x, 3, |i, x| self.linears[i].forward(x))
    }
}

struct KnownMeans;

impl ModuleMapper for KnownMeans {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|weight| {
            let dims = weight.dims();
            let mut values = Vec::with_capacity(weight.shape().num_elements());
            match dims.as_slice() {
                [elements] => values.resize(*elements, 0.0),
                [inputs, outputs] => {
                    for i in 0..*inputs {
                        for o in 0..*outputs {
                            let (i, o) = (i as f64, o as f64);
                            let angle = 1.3 * i + 2.1 * o + 0.37 * i * o;
                            values.push(angle.sin() / (*inputs as f64).sqrt());
                        }
                    }
                }
                [outputs, channels, height, width] => {
                    let size = (channels * height * width) as f64;
                    for o in 0..*outputs {
                        for c in 0..*channels {
                            for h in 0..*height {
                                for w in 0..*width {
                                    let angle = 1.3 * o as f64
                                        + 2.1 * c as f64
                                        + 0.7 * h as f64
                                        + 0.9 * w as f64;
                                    values.push(angle.sin() / size.sqrt());
                                }
                            }
                        }
                    }
                }
                other => panic!("no means for a weight of shape {other:?}"),
            }
            let means = Tensor::from_data(TensorData::new(values, dims), &weight.device());
            means.set_require_grad(weight.is_require_grad())
        })
    }
}

/// `sin(0.11 (b + 1) (j + 1) + 0.5 b)` for element j of example b, in the shape of `input`.
pub(crate) fn known_values<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    let size: usize = shape[1..].iter().product();
    let values: Vec<f64> = (0..shape[0] * size)
        .map(|i| ((i / size) as f64, (i % size) as f64))
        .map(|(b, j)| (0.11 * (b + 1.0) * (j + 1.0) + 0.5 * b).sin())
        .collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// The class of example b: b mod 10.
pub(crate) fn known_labels(examples: usize, device: &Device) -> Tensor<1, Int> {
    let labels: Vec<i64> = (0..examples as i64).map(|b| b % 10).collect();
    Tensor::from_data(TensorData::new(labels, [examples]), device)
}
