//! Moment propagation: mean and variance of a network's output in one pass, instead of a hundred draws.
//!
//! Each activation of a batch is a normal of its own, independent of the others, and each layer computes the
//! [`Moments`] of its output from those of its input and of its weights (Haußmann, Hamprecht & Kandemir, *Sampling-free
//! variational inference of Bayesian neural networks by variance backpropagation*, 2019; Wu et al., *Deterministic
//! variational inference for robust Bayesian neural networks*, 2019; Wright, Nakahira & Moura, *An analytic solution to
//! covariance propagation in neural networks*, 2024).
//!
//! Burn's modules keep no graph, so a network says once more how its layers follow each other:
//!
//! ```
//! use blitz_layers::moments::{ForwardMoments, Moments};
//! use blitz_layers::prelude::*;
//! use burn::module::Module;
//! use burn::nn::{Linear, LinearConfig};
//! use burn::tensor::activation::relu;
//! use burn::tensor::{Device, Tensor};
//!
//! #[derive(Module, Debug)]
//! struct Net {
//!     hidden: BayesianLinear,
//!     output: Linear,
//! }
//!
//! impl Net {
//!     fn forward(&self, x: Tensor<2>) -> Tensor<2> {
//!         self.output.forward(relu(self.hidden.forward(x)))
//!     }
//! }
//!
//! impl ForwardMoments<Moments<2>> for Net {
//!     type Output = Moments<2>;
//!
//!     fn forward_moments(&self, x: Moments<2>) -> Moments<2> {
//!         self.output.forward_moments(self.hidden.forward_moments(x).relu())
//!     }
//! }
//!
//! let device = Device::flex();
//! device.seed(1);
//! let net = Net {
//!     hidden: BayesianLinearConfig::new(3, 50).init(&device),
//!     output: LinearConfig::new(50, 1).init(&device).bayesianize(&BayesianizeConfig::new()),
//! };
//! let x = Tensor::<2>::ones([4, 3], &device);
//! let output = net.with_moments(|net| net.forward_moments(x.clone()))?;
//!
//! let draws = (0..400).map(|i| net.with_draw(1, i, |net| net.forward(x.clone())));
//! let draws: Tensor<3> = Tensor::stack(draws.collect(), 0);
//! let std = draws.var(0).sqrt().mean().into_scalar::<f32>();
//! let propagated = output.std_dev().mean().into_scalar::<f32>();
//! assert!((propagated / std - 1.0).abs() < 0.15, "{propagated}, {std} by draws");
//! # Ok::<(), blitz_core::MomentsError>(())
//! ```
//!
//! [`with_moments`](blitz_core::BayesianModule::with_moments) refuses the result, and names the weights, if a part of the network's uncertainty is not in it. So it does with a
//! layer that has no moments here, such as an LSTM, whose steps share their weights.
//!
//! | layer | moments |
//! |---|---|
//! | linear, convolution, transposed convolution, embedding | exact, of independent inputs |
//! | ReLU, leaky ReLU | exact, of normal inputs |
//! | GELU | exact mean; variance by quadrature |
//! | sigmoid, tanh, SiLU, any other smooth function | by [quadrature](Moments::by_quadrature), whose error is stated there |
//! | maximum | exact for two independent normals (Clark 1961) |
//! | max pooling | by halves of a window along each axis, as the maximum of two |
//! | average pooling, residual sums | exact, of independent parts |
//! | batch norm in prediction, dropout in prediction, Monte Carlo dropout | exact |
//! | layer norm | to first order: the deviation that it divides by counts as its expectation |
//!
//! What is lost are **correlations**: units of one layer share the uncertainty of those before, positions of a
//! convolution share their kernels, the branches of a residual block share their input, the calls of a layer that is
//! run twice and layers with tied weights share their weights. Exact, up to normality, is so the mean and the variance
//! of a network with one hidden layer and independent weights. Deeper ones come out with too little or too much
//! variance, as the signs of their weights have it: compare with draws once before you rely on it.
//!
//! # Covariances
//!
//! From [`with_covariances`](Moments::with_covariances) on, the features of a row keep their covariances, through what
//! has a rule for them. A network that implements `ForwardMoments<Moments<2, C>>` for all [`Correlations`] has both
//! kinds.
//!
//! | layer | covariances |
//! |---|---|
//! | linear | exact: `Wᵀ Σ W` of the means W, and the weights' own variance on the diagonal |
//! | ReLU, leaky ReLU | [within](Moments::leaky_relu) `0.0054 \|ρ\|⁵` of the deviations' product, for a correlation ρ |
//! | GELU, sigmoid, tanh, SiLU, any other smooth function | four terms of their series in ρ: within `0.011 \|ρ\|⁵` of it for input deviations up to 2, beside the error of the quadrature |
//! | batch norm in prediction, dropout in prediction, Monte Carlo dropout, shifts | exact |
//! | layer norm | to first order, as the variances |
//!
//! The others have none, so that the compiler refuses them: convolutions, poolings, embeddings, maxima, products, and
//! the sum of two parts that share their input.
//!
//! ```compile_fail,E0369
//! # use blitz_layers::moments::{Correlated, ForwardMoments, Moments};
//! # use blitz_layers::prelude::*;
//! fn residual(layer: &BayesianLinear, x: Moments<2, Correlated>) -> Moments<2, Correlated> {
//!     x.clone() + layer.forward_moments(x)
//! }
//! ```

mod correlations;
mod covariance;
mod hermite;
mod layers;
mod propagate;
mod quadrature;
mod rectifier;
mod smooth;
mod value;

pub use correlations::{Correlated, Correlations, Covariances, Independent};
pub(crate) use layers::of_linear;
pub(crate) use propagate::{combined, propagate};
pub use value::Moments;

use burn::tensor::Tensor;

/// A network or a layer that knows the moments of its output.
///
/// Implement it for an input of [`Moments`], of one kind or of all [`Correlations`], then it takes a tensor, which is
/// certain, as well.
pub trait ForwardMoments<I> {
    /// What the output is, such as [`Moments<2>`].
    type Output;

    /// The moments of the output, of an input's. As `forward` in the order of the layers.
    fn forward_moments(&self, input: I) -> Self::Output;
}

impl<L: ForwardMoments<Moments<D>>, const D: usize> ForwardMoments<Tensor<D>> for L {
    type Output = L::Output;

    fn forward_moments(&self, input: Tensor<D>) -> Self::Output {
        self.forward_moments(Moments::certain(input))
    }
}
