//! Data and initial weights that are the same in every run. Burn's own generator is shared by all tests of the process,
//! so that a seed of its own gives a test nothing.

use blitz_core::noise::NoiseKey;
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};

/// Standard normals.
pub fn normals<const D: usize>(seed: u64, shape: [usize; D], device: &Device) -> Tensor<D> {
    let mut values = vec![0.0; shape.iter().product()];
    NoiseKey::new(seed, 0, 0).fill_standard_normal(0, &mut values);
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// The module with matrices, kernels and peepholes of normals of variance 1 / inputs and biases of zero; its other
/// parameters stay.
pub fn seeded<M: Module>(module: M, seed: u64) -> M {
    fill(module, seed, 1.0, false)
}

/// The same with variance 2 / inputs, which keeps the signal's size through ReLUs (He et al. 2015).
pub fn seeded_for_relu<M: Module>(module: M, seed: u64) -> M {
    fill(module, seed, 2f64.sqrt(), false)
}

/// The same with normal biases.
pub fn seeded_throughout<M: Module>(module: M, seed: u64) -> M {
    fill(module, seed, 1.0, true)
}

fn fill<M: Module>(module: M, seed: u64, gain: f64, biases: bool) -> M {
    module.map(&mut Seed {
        seed,
        gain,
        biases,
        path: Vec::new(),
        attached: false,
    })
}

struct Seed {
    seed: u64,
    gain: f64,
    /// Whether biases are normal.
    biases: bool,
    path: Vec<String>,
    /// Whether the traversal is in what is attached to a weight.
    attached: bool,
}

impl ModuleMapper for Seed {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.push(name.to_string());
        self.attached |= container_type == "Reparameterization";
    }

    fn exit_module(&mut self, _name: &str, container_type: &str) {
        self.path.pop();
        self.attached &= container_type != "Reparameterization";
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.attached {
            return param;
        }
        self.seed += 1;
        let seed = self.seed;
        let (gain, biases) = (self.gain, self.biases);
        let is_peephole = self.path.iter().any(|name| name == "peephole");
        let is_bias = self.path.last().is_some_and(|name| name == "bias");
        param.map(|value| {
            let dims = value.dims();
            // A kernel has its channels before its positions, and a peephole one number for each of the state.
            let inputs = match D {
                1 | 2 => dims[0],
                _ => dims[1..].iter().product(),
            };
            match D {
                _ if D > 1 || is_peephole => {
                    let values = normals(seed, dims, &value.device());
                    let values = values * gain / (inputs as f64).sqrt();
                    values.set_require_grad(value.is_require_grad())
                }
                _ if is_bias && biases => {
                    let values = normals(seed, dims, &value.device());
                    values.set_require_grad(value.is_require_grad())
                }
                _ if is_bias => value.zeros_like().set_require_grad(value.is_require_grad()),
                _ => value,
            }
        })
    }
}
