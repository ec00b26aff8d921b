//! Tensors and modules as the density needs them: in `f64`, on the autodiff device.

use std::any::Any;

use blitz_train::Exposed;
use burn::module::{Flag, Module, ModuleMapper, Param};
use burn::tensor::{Bool, DType, Device, Int, Tensor};

/// The module in prediction with all its numbers on `device`, real parameters in `f64`. None of them requires a
/// gradient.
pub(super) fn module<M: Module>(module: &M, device: &Device) -> M {
    module_in_training(module, device).map(&mut InPrediction)
}

/// The same, with its layers as in training.
pub(super) fn module_in_training<M: Module>(module: &M, device: &Device) -> M {
    // A tensor that is no parameter follows these calls alone: no mapper sees it, nor its type.
    let module = module.valid().to_device(device).train();
    module.map(&mut Adopt { device })
}

/// The value with its tensors on `device`, real ones in `f64`, if it is a tensor or has an exposure; any other as it
/// is.
pub(super) fn value<T: Any>(mut value: T, device: &Device) -> T {
    of_any(&mut value, device);
    value
}

fn of_any(value: &mut dyn Any, device: &Device) {
    of_rank::<1>(value, device);
    of_rank::<2>(value, device);
    of_rank::<3>(value, device);
    of_rank::<4>(value, device);
    of_rank::<5>(value, device);
}

fn of_rank<const D: usize>(value: &mut dyn Any, device: &Device) {
    if let Some(tensor) = value.downcast_mut::<Tensor<D>>() {
        *tensor = real(tensor.clone(), device);
    } else if let Some(tensor) = value.downcast_mut::<Tensor<D, Int>>() {
        *tensor = int(tensor.clone(), device);
    } else if let Some(tensor) = value.downcast_mut::<Tensor<D, Bool>>() {
        *tensor = Tensor::from_data(tensor.to_data(), device);
    } else if let Some(exposed) = value.downcast_mut::<Exposed<Tensor<D>>>() {
        exposed.inputs = real(exposed.inputs.clone(), device);
        exposed.log_exposure = real(exposed.log_exposure.clone(), device);
    }
}

fn real<const D: usize>(tensor: Tensor<D>, device: &Device) -> Tensor<D> {
    // The data of a quantized tensor are codes.
    Tensor::from_data(tensor.dequantize().into_data(), (device, DType::F64))
}

fn int<const D: usize>(tensor: Tensor<D, Int>, device: &Device) -> Tensor<D, Int> {
    let dtype = tensor.dtype();
    Tensor::from_data(tensor.into_data(), (device, dtype))
}

/// Switches layers to prediction, as `valid()` does.
struct InPrediction;

impl ModuleMapper for InPrediction {
    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        flag.map(|flag| flag.with(false))
    }
}

struct Adopt<'a> {
    device: &'a Device,
}

impl ModuleMapper for Adopt<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let value = real(param.val(), self.device);
        Param::initialized(param.id, value)
    }

    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        let value = int(param.val(), self.device);
        Param::initialized(param.id, value)
    }

    fn map_bool<const D: usize>(
        &mut self,
        param: Param<Tensor<D, Bool>>,
    ) -> Param<Tensor<D, Bool>> {
        let value = Tensor::from_data(param.val().into_data(), self.device);
        Param::initialized(param.id, value)
    }
}
