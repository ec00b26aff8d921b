//! The weights of a module as one vector: in the order of its traversal, each tensor row-major, a weight that is tied
//! once.

use std::collections::HashMap;

use blitz_train::blitz_core::trains;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Bool, DType, Device, Gradients, Int, Tensor, TensorData, bf16, f16};
use serde::{Deserialize, Serialize};

use super::digest::Digest;
use crate::error::McmcError;

/// One tensor of weights that is sampled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Weight {
    /// Where it stands in the network, such as `hidden.weight`.
    pub path: String,
    /// Its shape.
    pub shape: Vec<usize>,
}

impl Weight {
    /// How many numbers it has.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Which tensor of a module has which stretch of the vector.
#[derive(Debug, Clone, Default)]
pub(crate) struct Weights {
    pub tensors: Vec<Weight>,
    /// The number of each tensor, and where its stretch begins.
    places: HashMap<ParamId, (usize, usize)>,
    /// The weights as they are.
    pub values: Vec<f64>,
    /// The type of each tensor.
    types: Vec<DType>,
    /// A digest of all that is not sampled: what is frozen, counted, or a statistic.
    pub unsampled: u64,
}

impl Weights {
    /// Those that train.
    pub fn of<M: Module>(module: &M) -> Self {
        let mut find = Find::default();
        module.visit(&mut find);
        find.found.unsampled = find.unsampled.value();
        find.found
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether the parameter is one of them.
    pub fn has(&self, id: ParamId) -> bool {
        self.places.contains_key(&id)
    }

    /// Which tensor the number at `index` is of.
    pub fn tensor_at(&self, index: usize) -> &Weight {
        let mut end = 0;
        let holds = |weight: &&Weight| {
            end += weight.len();
            index < end
        };
        let tensor = self.tensors.iter().find(holds);
        tensor.unwrap_or_else(|| panic!("there is no weight {index} among {}", self.len()))
    }

    /// The module on an autodiff device with the weights at `position`, in `f64`, each a leaf of the graph.
    pub fn on_graph<M: Module>(&self, module: M, position: &[f64], device: &Device) -> M {
        module.map(&mut OnGraph {
            weights: self,
            position,
            device,
        })
    }

    /// The module with the weights at `position`, of the type and on the device that they have.
    pub fn put<M: Module>(&self, module: M, position: &[f64]) -> M {
        module.map(&mut Put {
            weights: self,
            position,
        })
    }

    /// Refuses a position of which a number is finite and infinite in the type of its weight.
    pub fn check_range(&self, position: &[f64]) -> Result<(), McmcError> {
        let mut start = 0;
        for (tensor, dtype) in self.tensors.iter().zip(&self.types) {
            let stretch = &position[start..start + tensor.len()];
            start += tensor.len();
            if let Some(value) = stretch.iter().find(|value| overflows(**value, *dtype)) {
                return Err(McmcError::OutOfRange {
                    path: tensor.path.clone(),
                    value: *value,
                    dtype: format!("{dtype:?}"),
                });
            }
        }
        Ok(())
    }

    /// The gradient of each weight of a module that [`on_graph`](Self::on_graph) made; those of a tied one add up.
    pub fn gradient<M: Module>(&self, module: &M, gradients: &Gradients, into: &mut [f64]) {
        into.fill(0.0);
        module.visit(&mut Gradient {
            weights: self,
            gradients,
            into,
        });
    }

    /// The stretch of `position` that is the parameter's, with its shape, and which tensor it is.
    fn stretch<'a>(&self, id: ParamId, position: &'a [f64]) -> Option<(&Weight, &'a [f64])> {
        let (number, start) = *self.places.get(&id)?;
        let tensor = &self.tensors[number];
        Some((tensor, &position[start..start + tensor.len()]))
    }

    fn data(&self, id: ParamId, position: &[f64]) -> Option<TensorData> {
        let (tensor, values) = self.stretch(id, position)?;
        Some(TensorData::new(values.to_vec(), tensor.shape.clone()))
    }
}

/// Whether a finite number is infinite in this type.
fn overflows(value: f64, dtype: DType) -> bool {
    value.is_finite()
        && match dtype {
            DType::F16 => f16::from_f64(value).is_infinite(),
            DType::BF16 => bf16::from_f64(value).is_infinite(),
            DType::F32 => (value as f32).is_infinite(),
            _ => false,
        }
}

#[derive(Default)]
struct Find {
    path: Vec<String>,
    found: Weights,
    unsampled: Digest,
}

impl Find {
    fn add_unsampled(&mut self, data: &TensorData) {
        self.unsampled.add_bytes(self.path.join(".").as_bytes());
        data.shape()
            .iter()
            .for_each(|axis| self.unsampled.add(*axis as f64));
        match data.dtype() {
            // Numbers of a scheme of their own.
            DType::QFloat(_) => self.unsampled.add_bytes(&data.bytes()[..]),
            // The same in whatever type that holds them.
            _ => data.iter::<f64>().for_each(|x| self.unsampled.add(x)),
        }
    }
}

impl ModuleVisitor for Find {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !trains(param) {
            return self.add_unsampled(&param.val().into_data());
        }
        if self.found.places.contains_key(&param.id) {
            return;
        }
        let found = &mut self.found;
        let value = param.val();
        let place = (found.tensors.len(), found.values.len());
        found.places.insert(param.id, place);
        found.tensors.push(Weight {
            path: self.path.join("."),
            shape: value.dims().to_vec(),
        });
        found.types.push(value.dtype());
        found.values.extend(value.into_data().iter::<f64>());
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.add_unsampled(&param.val().into_data());
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.add_unsampled(&param.val().into_data());
    }
}

struct OnGraph<'a> {
    weights: &'a Weights,
    position: &'a [f64],
    device: &'a Device,
}

impl ModuleMapper for OnGraph<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.weights.data(param.id, self.position) {
            None => param,
            Some(data) => {
                let value = Tensor::from_data(data, (self.device, DType::F64));
                Param::initialized(param.id, value.require_grad())
            }
        }
    }
}

struct Put<'a> {
    weights: &'a Weights,
    position: &'a [f64],
}

impl ModuleMapper for Put<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.weights.data(param.id, self.position) {
            None => param,
            Some(data) => {
                let put =
                    param.map(|value| Tensor::from_data(data, (&value.device(), value.dtype())));
                put.set_require_grad(true)
            }
        }
    }
}

struct Gradient<'a> {
    weights: &'a Weights,
    gradients: &'a Gradients,
    into: &'a mut [f64],
}

impl ModuleVisitor for Gradient<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some((number, start)) = self.weights.places.get(&param.id).copied() else {
            return;
        };
        if let Some(gradient) = param.val().grad(self.gradients) {
            let stretch = &mut self.into[start..start + self.weights.tensors[number].len()];
            let values = gradient.into_data();
            stretch
                .iter_mut()
                .zip(values.iter::<f64>())
                .for_each(|(sum, value)| *sum += value);
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::{Linear, LinearConfig};

    use super::*;

    #[test]
    fn a_draw_that_is_infinite_in_the_type_of_its_weight_is_refused() {
        let layer = |dtype| {
            let mut layer: Linear = LinearConfig::new(1, 1).init(&Device::flex());
            layer.weight = layer.weight.map(|weight| weight.cast(dtype));
            layer.bias = layer.bias.map(|bias| bias.map(|bias| bias.cast(dtype)));
            layer
        };
        for (dtype, finite, infinite) in [
            (DType::F16, 65_519.0, -65_520.0),
            (DType::BF16, 3.389e38, 3.4e38),
            (DType::F32, 3.4e38, -3.5e38),
        ] {
            let weights = Weights::of(&layer(dtype));
            assert_eq!(weights.check_range(&[finite, -finite]), Ok(()));
            let error = weights.check_range(&[finite, infinite]).unwrap_err();
            let said = error.to_string();
            assert!(
                said.starts_with(&format!("bias has the draw {infinite:e}")),
                "{said}"
            );
            // A density says what it thinks of infinities.
            assert_eq!(weights.check_range(&[f64::INFINITY, f64::NAN]), Ok(()));
        }
        let weights = Weights::of(&layer(DType::F64));
        assert_eq!(weights.check_range(&[1e300, -1e300]), Ok(()));
    }
}
