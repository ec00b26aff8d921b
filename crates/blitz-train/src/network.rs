//! A network as a training and a prediction see it, and its batches.

use burn::module::{Module, ModuleDisplay};

/// What the training needs to know of a network: how to run it.
///
/// ```
/// use blitz_train::prelude::*;
/// use burn::module::Module;
/// use burn::tensor::Tensor;
///
/// #[derive(Module, Debug)]
/// struct Net {
///     layer: BayesianLinear,
/// }
///
/// impl Network for Net {
///     type Input = Tensor<2>;
///     type Output = Tensor<2>;
///
///     fn forward(&self, input: Tensor<2>) -> Tensor<2> {
///         self.layer.forward(input)
///     }
/// }
/// ```
pub trait Network: Module + ModuleDisplay + 'static {
    /// A batch of inputs.
    type Input: Clone + Send + 'static;
    /// What the likelihood takes.
    type Output: Clone + Send + 'static;

    /// The output for a batch, under whatever draw is open.
    fn forward(&self, input: Self::Input) -> Self::Output;
}

/// A batch of examples.
#[derive(Debug, Clone)]
pub struct Batch<I, T> {
    /// The network's input.
    pub inputs: I,
    /// What was observed.
    pub targets: T,
}
