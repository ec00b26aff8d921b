//! Data and initial weights that are the same in every run. Burn's own generator is shared by all tests of the process.

use blitz_core::noise::NoiseKey;
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};

/// Standard normals.
pub fn normals<const D: usize>(seed: u64, shape: [usize; D], device: &Device) -> Tensor<D> {
    let mut values = vec![0.0; shape.iter().product()];
    NoiseKey::new(seed, 0, 0).fill_standard_normal(0, &mut values);
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// The module with matrices of normals of variance 1 / d_input and biases of zero; its other parameters stay.
pub fn seeded<M: Module>(module: M, seed: u64) -> M {
    module.map(&mut Seed {
        seed,
        path: Vec::new(),
    })
}

struct Seed {
    seed: u64,
    path: Vec<String>,
}

impl ModuleMapper for Seed {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.path.iter().any(|name| name == "bayes") {
            return param;
        }
        self.seed += 1;
        let seed = self.seed;
        let is_bias = self.path.last().is_some_and(|name| name == "bias");
        param.map(|value| {
            let dims = value.dims();
            match D {
                2 => {
                    let values = normals(seed, dims, &value.device());
                    let values = values / (dims[0] as f64).sqrt();
                    values.set_require_grad(value.is_require_grad())
                }
                _ if is_bias => value.zeros_like().set_require_grad(value.is_require_grad()),
                _ => value,
            }
        })
    }
}
