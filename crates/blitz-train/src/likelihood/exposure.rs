//! Rates of counts that were observed over different times, areas or populations.

use burn::module::Module;
use burn::tensor::Tensor;

use super::loss_type::LossType;
use crate::network::Network;

/// A network of log rates per unit of exposure, as one of log rates: `f(x) + ln exposure`.
///
/// Wraps a network for a [`PoissonLikelihood`](crate::PoissonLikelihood) or a
/// [`NegativeBinomialLikelihood`](crate::NegativeBinomialLikelihood); whatever trains and predicts it gets the exposure along
/// with the inputs.
///
/// ```
/// use blitz_train::prelude::*;
/// use blitz_train::{Exposed, PoissonLikelihoodConfig, WithExposure};
/// use burn::module::Module;
/// use burn::tensor::{Device, Tensor};
///
/// #[derive(Module, Debug)]
/// struct Rate {
///     layer: BayesianLinear,
/// }
///
/// impl Network for Rate {
///     type Input = Tensor<2>;
///     type Output = Tensor<2>;
///
///     fn forward(&self, input: Tensor<2>) -> Tensor<2> {
///         self.layer.forward(input)
///     }
/// }
///
/// let device = Device::flex();
/// let network = WithExposure { network: Rate { layer: BayesianLinearConfig::new(1, 1).init(&device) } };
/// let rows = |exposure: f32| Exposed {
///     inputs: Tensor::<2>::from_floats([[0.3]], &device),
///     log_exposure: Tensor::<2>::from_floats([[exposure.ln()]], &device),
/// };
/// let model = ElboModel::new(network, PoissonLikelihoodConfig::new().init(), ElboConfig::new(1).init());
/// // Ten times the time, ten times the count.
/// let [once, ten] = [1.0, 10.0].map(|exposure| model.predict(rows(exposure), 20, 0).mean()[0]);
/// assert!((ten / once - 10.0).abs() < 1e-4);
/// ```
#[derive(Module, Debug)]
pub struct WithExposure<N: Network> {
    /// The network of log rates per unit of exposure.
    pub network: N,
}

/// Inputs and how long, or how much, each was observed.
#[derive(Debug, Clone)]
pub struct Exposed<I> {
    /// The network's inputs.
    pub inputs: I,
    /// The logarithm of the exposure, of the shape of the network's output or `[batch, 1]`.
    pub log_exposure: Tensor<2>,
}

impl<N: Network<Output = Tensor<2>>> Network for WithExposure<N> {
    type Input = Exposed<N::Input>;
    type Output = Tensor<2>;

    /// # Panics
    ///
    /// Panics unless there is an exposure for each example.
    fn forward(&self, input: Self::Input) -> Tensor<2> {
        let output = self.network.forward(input.inputs);
        let (exposure, rates) = (input.log_exposure.dims(), output.dims());
        assert!(
            exposure == rates || exposure == [rates[0], 1],
            "outputs of shape {rates:?} need log exposures of that shape or [batch, 1], got {exposure:?}"
        );
        // As the loss, so that exposures of `f32` keep their digits beside outputs of half precision.
        let (loss, output) = LossType::of_output(output);
        output + loss.cast(input.log_exposure)
    }
}
