//! Running statistics of a network whose weights are not those that it was trained with.

use std::any::Any;
use std::vec::IntoIter;

use burn::data::dataloader::DataLoader;
use burn::data::dataset::DatasetError;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// Why a network has no statistics of its own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatisticsError {
    /// The data loader has no batches.
    #[error("there is nothing to take statistics of: the data loader is empty")]
    Empty,
    /// The data loader failed.
    #[error("the data can't be read: {0}")]
    Data(#[from] DatasetError),
}

/// The network with running statistics of its own, moved by the batches of a data loader as in training: a draw of
/// [`Swag`](crate::Swag), whose batch norms have the statistics of another network, before it predicts.
///
/// `forward` runs one batch through the network that it is given, whose layers are as in training: dropout drops. The
/// batches come on an autodiff device, where a batch norm takes them in. Weights stay as they are, and so does
/// `network`; what is returned is off the autodiff graph.
///
/// A batch norm goes over to what it sees by its momentum: with Burn's default of 0.1, ten batches leave a third of the
/// statistics before, and fifty half a percent.
///
/// ```
/// use blitz_train::prelude::*;
/// use blitz_train::with_statistics_of;
/// # use burn::data::dataloader::DataLoaderBuilder;
/// # use burn::data::dataset::InMemDataset;
/// use burn::module::Module;
/// use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
/// use burn::tensor::{Device, Tensor};
///
/// #[derive(Module, Debug)]
/// struct Net { layer: Linear, norm: BatchNorm }
///
/// impl Net {
///     fn forward(&self, x: Tensor<2>) -> Tensor<2> { self.norm.forward(self.layer.forward(x)) }
/// }
///
/// # let device = Device::flex();
/// # let net = Net { layer: LinearConfig::new(1, 1).init(&device), norm: BatchNormConfig::new(1).init(&device) };
/// # let rows = vec![([1.0f32], [0.0f32]), ([3.0], [0.0])];
/// # let loader = DataLoaderBuilder::new(RowBatcher).batch_size(2).set_device(device.clone()).build(InMemDataset::new(rows));
/// type Batch = LabeledBatch<Tensor<2>, Tensor<2>>;
/// let moved = with_statistics_of(&net, loader.as_ref(), |net, batch: Batch| {
///     net.forward(batch.inputs);
/// })?;
/// let mean = |net: &Net| net.norm.running_mean.value().into_scalar::<f32>();
/// assert_eq!(mean(&net), 0.0);
/// let output = net.layer.forward(Tensor::<2>::from_floats([[2.0]], &device));
/// let expected = 0.1 * output.into_scalar::<f32>();
/// assert!((mean(&moved) - expected).abs() < 1e-5);
/// # Ok::<(), blitz_train::StatisticsError>(())
/// ```
///
/// # Errors
///
/// Returns an error if the loader is empty or fails.
pub fn with_statistics_of<N: Module, B>(
    network: &N,
    data: &dyn DataLoader<B>,
    mut forward: impl FnMut(&N, B),
) -> Result<N, StatisticsError> {
    // Clones share their statistics, and these two make new ones. Burn keeps the graph of a pass until a backward one,
    // and here is none: without gradients there is no graph.
    let training = network.valid().train().no_grad();
    let device = training.devices().into_iter().next();
    let moved = device.map(|device| data.to_device(&device));
    let data = moved.as_deref().unwrap_or(data);
    let mut is_empty = true;
    for batch in data.iter() {
        forward(&training, batch?);
        is_empty = false;
    }
    if is_empty {
        return Err(StatisticsError::Empty);
    }
    let mut values = Values::default();
    // A batch norm keeps the latest update of its statistics apart, and takes it in here.
    training.valid().visit(&mut values);
    // What trains is to do so again.
    Ok(network.valid().map(&mut Set(values.0.into_iter())))
}

/// Reads parameters and running statistics, in the order of the traversal: two that are clones have one identity.
#[derive(Default)]
struct Values(Vec<Box<dyn Any>>);

impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.push(Box::new(param.base()));
    }
}

/// Puts them into a network like it.
struct Set(IntoIter<Box<dyn Any>>);

impl ModuleMapper for Set {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let value = self
            .0
            .next()
            .and_then(|value| value.downcast::<Tensor<D>>().ok());
        match value {
            // A weight of few bits may have been unpacked on the way.
            Some(value) if param.base().dtype().is_float() => param.map(|_| *value),
            _ => param,
        }
    }
}
