//! A network that knows nothing of blitz: Burn's own layers, and Burn's own ways to load their weights.

use std::path::Path;

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Linear, LinearConfig};
use burn::store::{ModuleRecord, ModuleSnapshot, PytorchStore, SafetensorsStore};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use example_support::RunError;

/// Two convolutions and two linear layers, for images of 28×28 pixels.
#[derive(Module, Debug)]
pub struct Net {
    conv1: Conv2d,
    conv2: Conv2d,
    pool: MaxPool2d,
    hidden: Linear,
    output: Linear,
}

impl Net {
    /// A new network.
    pub fn new(classes: usize, device: &Device) -> Self {
        Self {
            conv1: Conv2dConfig::new([1, 8], [5, 5]).init(device),
            conv2: Conv2dConfig::new([8, 16], [5, 5]).init(device),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            hidden: LinearConfig::new(16 * 4 * 4, 64).init(device),
            output: LinearConfig::new(64, classes).init(device),
        }
    }

    /// `[batch, 1, 28, 28]` to `[batch, classes]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = self.pool.forward(relu(self.conv1.forward(images)));
        let x = self.pool.forward(relu(self.conv2.forward(x)));
        let x: Tensor<2> = x.flatten(1, 3);
        self.output.forward(relu(self.hidden.forward(x)))
    }

    /// The network with the weights of a checkpoint, by its extension: Burn's `.bpk`, `.safetensors`, or PyTorch's `.pt`.
    pub fn load(mut self, path: &Path) -> Result<Self, RunError> {
        let fail = |reason: String| RunError::data(path, reason.trim_end().replace('\n', " "));
        if !path.is_file() {
            return Err(fail("there is no such file".into()));
        }
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        match extension.as_ref() {
            "bpk" => {
                let record = ModuleRecord::load(path).map_err(|error| fail(error.to_string()))?;
                self.try_load_record(record)
                    .map_err(|error| fail(error.to_string()))
            }
            "safetensors" => {
                let mut store = SafetensorsStore::from_file(path)
                    .with_from_adapter(burn::store::PyTorchToBurnAdapter);
                let result = self.load_from(&mut store);
                result.map_err(|error| fail(error.to_string()))?;
                Ok(self)
            }
            "pt" | "pth" => {
                let mut store = PytorchStore::from_file(path);
                let result = self.load_from(&mut store);
                result.map_err(|error| fail(error.to_string()))?;
                Ok(self)
            }
            other => Err(fail(format!(
                "a checkpoint ends in .bpk, .safetensors or .pt, not in `.{other}`"
            ))),
        }
    }
}
