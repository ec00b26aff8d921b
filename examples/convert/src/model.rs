//! A network that knows nothing of blitz: Burn's own layers, and Burn's own ways to load their weights.

use std::path::Path;

use blitz_train::files::{self, Seal};
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Linear, LinearConfig};
use burn::store::{
    ModuleRecord, ModuleSnapshot, PyTorchToBurnAdapter, PytorchStore, SafetensorsStore,
};
use burn::tensor::activation::relu;
use burn::tensor::{Bytes, Device, Tensor};
use example_support::{RunError, first_not_finite};

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

    /// The network with the weights of a checkpoint, by its extension: Burn's `.bpk`, `.safetensors`, or PyTorch's
    /// `.pt`. They are in the type of the network's own, whatever the file's is. One with a digest beside it
    /// (`.sha256`) is compared with that first.
    pub fn load(self, path: &Path) -> Result<Self, RunError> {
        let record = self.clone().read_as_saved(path)?.into_record();
        let net = self.load_record(record.cast_to_module_dtype());
        match first_not_finite(&net) {
            Some(name) => {
                let reason = format!("{name} has a number that is NaN or infinite");
                Err(RunError::data(path, reason))
            }
            None => Ok(net),
        }
    }

    fn read_as_saved(mut self, path: &Path) -> Result<Self, RunError> {
        let fail = |reason: String| RunError::data(path, reason.trim_end().replace('\n', " "));
        if !path.is_file() {
            return Err(fail("there is no such file".into()));
        }
        let (bytes, seal) = files::read(path).map_err(|error| fail(error.to_string()))?;
        if seal == Seal::Broken {
            return Err(fail(
                "damaged: it is not the file whose digest lies beside it".into(),
            ));
        }
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        match extension.as_ref() {
            "bpk" => {
                let record = ModuleRecord::from_bytes(Bytes::from_bytes_vec(bytes));
                record
                    .and_then(|record| self.try_load_record(record))
                    .map_err(|error| fail(error.to_string()))
            }
            "safetensors" => {
                let mut store =
                    SafetensorsStore::from_file(path).with_from_adapter(PyTorchToBurnAdapter);
                let result = self.load_from(&mut store);
                let applied = result.map_err(|error| fail(error.to_string()))?;
                no_others(&applied.unused).map_err(fail)?;
                Ok(self)
            }
            "pt" | "pth" => {
                let mut store = PytorchStore::from_file(path);
                let result = self.load_from(&mut store);
                let applied = result.map_err(|error| fail(error.to_string()))?;
                no_others(&applied.unused).map_err(fail)?;
                Ok(self)
            }
            other => Err(fail(format!(
                "a checkpoint ends in .bpk, .safetensors or .pt, not in `.{other}`"
            ))),
        }
    }
}

/// Refuses tensors that the network has no place for: Burn's stores pass over them, but a checkpoint that has them is
/// not this network's.
fn no_others(unused: &[String]) -> Result<(), String> {
    match unused {
        [] => Ok(()),
        unused => Err(format!(
            "the network has no place for {}",
            unused.join(", ")
        )),
    }
}

#[cfg(test)]
mod tests {
    use burn::store::{BurnToPyTorchAdapter, FloatCastAdapter, ModuleAdapter};
    use burn::tensor::DType;

    use super::*;

    /// The network with a layer too many.
    #[derive(Module, Debug)]
    struct Other {
        conv1: Conv2d,
        conv2: Conv2d,
        hidden: Linear,
        output: Linear,
        head: Linear,
    }

    #[test]
    fn a_checkpoint_with_tensors_missing_too_many_or_no_numbers_is_refused_by_their_names() {
        let device = Device::flex();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other.safetensors");
        let net = Net::new(10, &device);
        let save = |module: &dyn Fn(&mut SafetensorsStore)| {
            let mut store = SafetensorsStore::from_file(&path)
                .with_to_adapter(BurnToPyTorchAdapter)
                .overwrite(true);
            module(&mut store);
        };
        save(&|store| net.save_into(store).unwrap());
        let loaded = Net::new(10, &device).load(&path).unwrap();
        let images = Tensor::ones([1, 1, 28, 28], &device);
        let expected = net.forward(images.clone()).into_data();
        assert_eq!(loaded.forward(images).into_data(), expected);

        let other = Other {
            conv1: net.conv1.clone(),
            conv2: net.conv2.clone(),
            hidden: net.hidden.clone(),
            output: net.output.clone(),
            head: LinearConfig::new(2, 2).init(&device),
        };
        save(&|store| other.save_into(store).unwrap());
        let message = Net::new(10, &device).load(&path).unwrap_err().to_string();
        assert!(message.contains("no place for head."), "{message}");

        let mut nan = net.clone();
        nan.hidden.bias = nan.hidden.bias.map(|bias| bias.map(|bias| bias * f32::NAN));
        save(&|store| nan.save_into(store).unwrap());
        let message = Net::new(10, &device).load(&path).unwrap_err().to_string();
        assert!(
            message.contains("other.safetensors: hidden.bias has a number that is NaN"),
            "{message}"
        );

        save(&|store| net.hidden.save_into(store).unwrap());
        let message = Net::new(10, &device).load(&path).unwrap_err().to_string();
        assert!(message.contains("conv1.weight"), "{message}");
    }

    #[test]
    fn a_checkpoint_of_any_type_of_number_is_read_in_that_of_the_network() {
        let device = Device::flex();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.safetensors");
        let net = Net::new(10, &device);
        let images = Tensor::ones([1, 1, 28, 28], &device);
        let logits = |net: &Net| -> Vec<f64> {
            let logits = net.forward(images.clone()).into_data();
            logits.iter::<f64>().collect()
        };
        let expected = logits(&net);
        // Weights with 8, 11 and all of their bits: of two hundred networks by PyTorch the logits are at most 8e-4 and
        // 9e-5 off.
        for (dtype, bound) in [(DType::BF16, 1e-2), (DType::F16, 2e-3), (DType::F64, 1e-6)] {
            let adapter = BurnToPyTorchAdapter.chain(FloatCastAdapter::to(dtype));
            let mut store = SafetensorsStore::from_file(&path)
                .with_to_adapter(adapter)
                .overwrite(true);
            net.save_into(&mut store).unwrap();
            let read_as_saved = Net::new(10, &device).read_as_saved(&path).unwrap();
            assert_eq!(read_as_saved.output.weight.val().dtype(), dtype);
            let burns = folder.path().join(format!("{dtype:?}.bpk"));
            read_as_saved.save_file(&burns).unwrap();
            for path in [&path, &burns] {
                let loaded = Net::new(10, &device).load(path).unwrap();
                assert_eq!(loaded.output.weight.val().dtype(), DType::F32);
                for (got, expected) in logits(&loaded).iter().zip(&expected) {
                    assert!((got - expected).abs() < bound, "{got} for {expected}");
                }
            }
        }
    }

    #[test]
    fn a_damaged_checkpoint_is_refused_if_it_has_a_digest() {
        let device = Device::flex();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.bpk");
        Net::new(10, &device).save_file(&path).unwrap();
        blitz_train::files::seal(&path).unwrap();
        Net::new(10, &device).load(&path).unwrap();
        // In the last weight.
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let message = Net::new(10, &device).load(&path).unwrap_err().to_string();
        assert!(message.contains("net.bpk: damaged"), "{message}");
        std::fs::remove_file(path.with_extension("bpk.sha256")).unwrap();
        Net::new(10, &device).load(&path).unwrap();
    }
}
