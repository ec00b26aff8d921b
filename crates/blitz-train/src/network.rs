//! A network as a training and a prediction see it, and its batches.

use burn::module::{Flag, Module, ModuleDisplay, ModuleMapper, Param};

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

/// The module with its layers as in prediction, and its weights where they are: on the autodiff graph, if they are on it.
///
/// `valid()` does both, takes the weights off the graph and switches layers, and so leaves no gradient. What a layer of Burn's asks is whether its
/// input is on an autodiff device *and* whether its own flag is on: dropout, noise, randomized activations and batch norm. So it is enough to switch the flags.
/// Those of a layer that is random in prediction too, such as Monte Carlo dropout, look at what is configured, which stays.
///
/// The running statistics of a batch norm are shared with `module`, and nothing moves them.
pub(crate) fn as_in_prediction<M: Module>(module: &M) -> M {
    struct Switch;

    impl ModuleMapper for Switch {
        fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
            flag.valid()
        }
    }

    // A batch norm keeps the latest update of its statistics apart, and takes it in here.
    drop(module.valid());
    module.clone().map(&mut Switch)
}
