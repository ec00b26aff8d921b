//! Noise of a layer that is random itself, not by its weights.

use burn::module::{Flag, Module, Param};

use super::moments::{note_alone, note_read};
use super::sample::shares_weights;
use super::{Request, layer_noise, request};
use crate::family::Noise;

/// What Burn tells a visitor of a field of [`LayerNoise`].
pub(crate) const CONTAINER: &str = "Struct:LayerNoise";

/// Whether a flag is on, whatever mode its module is in: `valid()` switches flags off for prediction, where sampling
/// must go on, and `train()` restores what was configured.
pub(crate) fn is_configured(flag: &Param<Flag>) -> bool {
    Module::train(flag.clone()).base().is_enabled()
}

/// The noise of a layer that is random itself, such as dropout that goes on in prediction: by the open draw, as weights
/// are.
///
/// A layer holds one in a field, and asks it at each forward pass.
/// [`freeze_sampling_group`](crate::BayesianModule::freeze_sampling_group) knows the layer by its own path. Has no
/// parameters, and no part in the KL.
///
/// ```
/// use blitz_core::{LayerNoise, prelude::*};
/// use burn::module::Module;
/// use burn::tensor::{Device, Tensor};
///
/// /// Multiplies by `1 + N(0, 1)`.
/// #[derive(Module, Debug)]
/// struct Jitter { noise: LayerNoise }
///
/// impl Jitter {
///     fn forward(&self, x: Tensor<2>) -> Tensor<2> {
///         match self.noise.take(x.shape().num_elements()) {
///             None => x,
///             Some(mut noise) => x.clone() * (noise.standard_normal(&x) + 1.0),
///         }
///     }
/// }
///
/// let x = Tensor::<2>::ones([2, 3], &Device::flex());
/// let layer = Jitter { noise: LayerNoise::new() };
/// let draw = |index| layer.with_draw(7, index, |layer| layer.forward(x.clone()).into_data());
/// assert_eq!(draw(0), draw(0));
/// assert_ne!(draw(0), draw(1));
/// assert_eq!(layer.with_mean(|layer| layer.forward(x.clone())).into_data(), x.clone().into_data());
/// assert_eq!(layer.freeze_sampling().forward(x.clone()).into_data(), x.into_data());
/// ```
#[derive(Module, Debug)]
pub struct LayerNoise {
    /// Whether there is noise. Its id is the layer's identity in a draw.
    sampling: Param<Flag>,
}

impl LayerNoise {
    /// Of a new layer.
    pub fn new() -> Self {
        Self {
            sampling: Param::from_bool(true),
        }
    }

    /// Noise for a forward pass that takes `elements` values at most.
    ///
    /// In a draw it depends on the seed and the index, on the layer's number, and on what the layer took before. Layers
    /// are numbered in the order of their first use. Without a draw it comes from the process-wide stream (see
    /// [`seed`](crate::seed)).
    ///
    /// `None` in the mean mode, in a [pass of moments](crate::BayesianModule::with_moments), which then refuses the
    /// layer, and where sampling is frozen: the layer returns its mean.
    pub fn take(&self, elements: usize) -> Option<Noise> {
        if !self.is_sampling() {
            return None;
        }
        match request() {
            Request::Mean => None,
            Request::MeanInPass => {
                note_alone(self.sampling.id);
                None
            }
            _ => Some(layer_noise(self.sampling.id, elements)),
        }
    }

    /// Whether the open draw is one network for all rows of all batches
    /// ([`Draw::with_shared_weights`](super::Draw::with_shared_weights)): the layer then takes the same noise for each
    /// row.
    pub fn shares_rows(&self) -> bool {
        shares_weights()
    }

    /// Whether there is noise of which the layer has to add the variance to that of its input. An open
    /// [pass of moments](crate::BayesianModule::with_moments) takes the layer for one that does.
    ///
    /// False in the mean mode and where sampling is frozen.
    pub fn adds_variance(&self) -> bool {
        if !self.is_sampling() || matches!(request(), Request::Mean) {
            return false;
        }
        note_read(self.sampling.id);
        true
    }

    /// Whether there is noise, in training and in prediction; see
    /// [`freeze_sampling`](crate::BayesianModule::freeze_sampling).
    pub fn is_sampling(&self) -> bool {
        is_configured(&self.sampling)
    }
}

impl Default for LayerNoise {
    fn default() -> Self {
        Self::new()
    }
}
