//! Dropout that goes on in prediction.

use blitz_core::{LayerNoise, at_least_f32};
use burn::config::Config;
use burn::module::{Content, DisplaySettings, Module, ModuleDisplay};
use burn::tensor::Tensor;

use crate::moments::{Correlations, ForwardMoments, Moments};

/// Configuration to create an [`McDropout`] layer using the [init function](McDropoutConfig::init).
///
/// | field | default | meaning |
/// |---|---|---|
/// | `prob` | | the probability p that an element is dropped, in [0, 1) |
/// | `shared_axes` | none | axes along which all elements share one mask |
#[derive(Config, Debug, PartialEq)]
pub struct McDropoutConfig {
    /// The probability that an element is dropped.
    pub prob: f64,
    /// Axes along which all elements share one mask: `[1]` of `[batch, time, features]` keeps a mask for all time steps
    /// (Gal & Ghahramani 2016b), `[2, 3]` of `[batch, channels, height, width]` drops whole channels, `[0]` drops the
    /// same units for every row.
    #[config(default = "Vec::new()")]
    pub shared_axes: Vec<usize>,
}

/// Dropout in training and in prediction alike: Monte Carlo dropout.
///
/// Gal & Ghahramani, *Dropout as a Bayesian approximation: representing model uncertainty in deep learning* (2016):
/// each element is multiplied by a `Bernoulli(1 − p) / (1 − p)` of its own, so that the mean stays what it was, and the
/// spread of the outputs of several draws is read as the model's uncertainty.
///
/// Burn's `Dropout` stops dropping without autodiff and takes its masks from the device's generator. Here they are a
/// function of the open [draw](blitz_core::Draw): draw `i` of a seed has the same masks in every process and on every
/// backend, `predict_draws` and the `Predictor` of blitz-train predict with it as with weights that have posteriors,
/// and both may stand in one network. A prediction by them has one mask for all rows of all batches, which are the
/// first axis, as it has one set of weights ([`with_shared_weights`](blitz_core::Draw::with_shared_weights)): a row's
/// numbers do not depend on its batch, and draws are consistent over a pool. In the mean mode, and where
/// [`freeze_sampling`](blitz_core::BayesianModule::freeze_sampling) was called, the layer returns its input.
///
/// A `Dropout` of Burn's that stands inside another module, such as a `TransformerEncoder`, cannot be made one: put
/// this between the modules, or in its place.
///
/// Has no KL: weight decay in the optimizer takes the part of the prior. With N examples, noise precision τ and a prior
/// length scale l, the paper's objective is a mean of half squared errors with a decay `(1 − p) l² / (2 N τ)` of the
/// squared weights; p is not trained, and is to be chosen on validation data.
///
/// The masks are made by the device where it has [fused operations](blitz_core::kernels), and on the host elsewhere.
///
/// ```
/// use blitz_layers::prelude::*;
/// use burn::tensor::{Device, Tensor};
///
/// let dropout = McDropoutConfig::new(0.2).init();
/// let x = Tensor::<2>::ones([4, 100], &Device::flex());
/// let draw = |index| dropout.with_draw(7, index, |dropout| dropout.forward(x.clone()).into_data());
/// assert_eq!(draw(3), draw(3));
/// assert_ne!(draw(3), draw(4));
/// let kept = draw(3).iter::<f32>().filter(|x| *x == 1.25).count();
/// assert!((290..350).contains(&kept)); // of 400, in expectation 320
/// assert_eq!(dropout.with_mean(|dropout| dropout.forward(x.clone())).into_data(), x.into_data());
/// ```
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct McDropout {
    /// The probability that an element is dropped.
    pub prob: f64,
    /// Axes along which all elements share one mask.
    #[module(skip)]
    pub shared_axes: Vec<usize>,
    noise: LayerNoise,
}

impl McDropoutConfig {
    /// Initialize a new [`McDropout`] module.
    ///
    /// # Panics
    ///
    /// Panics if the probability does not lie in [0, 1).
    pub fn init(&self) -> McDropout {
        assert!(
            (0.0..1.0).contains(&self.prob),
            "a dropout probability lies in [0, 1), got {}",
            self.prob
        );
        McDropout {
            prob: self.prob,
            shared_axes: self.shared_axes.clone(),
            noise: LayerNoise::new(),
        }
    }
}

impl McDropout {
    /// Applies the forward pass on the input tensor.
    ///
    /// # Shapes
    ///
    /// - input: `[..., any]`
    /// - output: `[..., any]`
    ///
    /// # Randomness
    ///
    /// Under an open [draw](blitz_core::Draw), its masks, fresh ones at each call, and with [shared
    /// weights](blitz_core::Draw::with_shared_weights) the same for all rows; otherwise masks of the process-wide
    /// stream.
    ///
    /// # Panics
    ///
    /// Panics if a shared axis is not one of the input's.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let mut shape = input.dims();
        for &axis in &self.shared_axes {
            assert!(
                axis < D,
                "a dropout mask is shared along axis {axis}, the input has {D} axes"
            );
            shape[axis] = 1;
        }
        if D > 1 && self.noise.shares_rows() {
            shape[0] = 1;
        }
        if self.prob == 0.0 {
            return input;
        }
        let Some(mut noise) = self.noise.take(shape.iter().product()) else {
            return input;
        };
        let kept = 1.0 - self.prob;
        let mask = noise.bernoulli::<D, D>(kept, shape, &input) / kept;
        input * mask
    }

    /// Whether the layer drops anything; see [`freeze_sampling`](blitz_core::BayesianModule::freeze_sampling).
    pub fn is_sampling(&self) -> bool {
        self.noise.is_sampling()
    }
}

/// Exact: the mean stays, `Var = (v + p m²) / (1 − p)`. That elements share a mask, where they do, is lost.
impl<const D: usize, C: Correlations> ForwardMoments<Moments<D, C>> for McDropout {
    type Output = Moments<D, C>;

    /// # Panics
    ///
    /// Panics of features with covariances that share a mask.
    fn forward_moments(&self, input: Moments<D, C>) -> Moments<D, C> {
        if !self.noise.adds_variance() || self.prob == 0.0 {
            return input;
        }
        assert!(
            !C::KEEPS_COVARIANCES || !self.shared_axes.contains(&(D - 1)),
            "features that share a dropout mask along axis {} have no covariances here",
            D - 1
        );
        let dropped = at_least_f32(input.mean.clone())
            .square()
            .mul_scalar(self.prob);
        input.with_variance(|variance| (variance + dropped).mul_scalar((1.0 - self.prob).recip()))
    }
}

impl ModuleDisplay for McDropout {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new()
            .with_new_line_after_attribute(false)
            .optional()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        let content = content.add("prob", &self.prob);
        match self.shared_axes.is_empty() {
            true => content.optional(),
            false => content
                .add_debug_attribute("shared_axes", &self.shared_axes)
                .optional(),
        }
    }
}
