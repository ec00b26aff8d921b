//! Digests of drawn tensors, and modules whose parameters are given: what tests of value stability share, in all
//! crates.

use std::collections::BTreeMap;

use blitz_noise::NoiseKey;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Tensor, TensorData};

/// FNV-1a, 64 bits, of the values' bits and the types they have.
#[derive(Clone, Copy)]
pub struct Digest(u64);

impl Digest {
    pub fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub fn add(&mut self, data: &TensorData) {
        for byte in data.as_bytes() {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    pub fn value(self) -> u64 {
        self.0
    }
}

/// The digest of one tensor.
pub fn of_tensor<const D: usize>(tensor: Tensor<D>) -> u64 {
    let mut digest = Digest::new();
    digest.add(&tensor.into_data());
    digest.value()
}

/// The digest of all parameters of a network, in the order of its traversal.
pub fn of_network<M: Module>(network: &M) -> u64 {
    let mut visitor = Visit(Digest::new());
    network.visit(&mut visitor);
    visitor.0.value()
}

struct Visit(Digest);

impl ModuleVisitor for Visit {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.add(&param.val().into_data());
    }
}

/// The module with weights that are given, not Burn's random ones, in `dtype`: `scale` times normals of a stream for
/// each. The parameters of a posterior are moved apart by so much, in streams that depend on no other weight's
/// posterior.
pub fn given<M: Module>(module: M, scale: f64, dtype: DType) -> M {
    module.map(&mut Given {
        scale,
        dtype,
        attached: false,
        stream: 0,
    })
}

struct Given {
    scale: f64,
    dtype: DType,
    /// Whether this is inside a reparameterization.
    attached: bool,
    /// Of the latest parameter.
    stream: u32,
}

const ATTACHED: &str = "Reparameterization";

impl ModuleMapper for Given {
    fn enter_module(&mut self, _name: &str, container_type: &str) {
        self.attached |= container_type == ATTACHED;
    }

    fn exit_module(&mut self, _name: &str, container_type: &str) {
        self.attached &= container_type != ATTACHED;
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let is_attached = self.attached;
        self.stream = match is_attached {
            true => self.stream + 1,
            // Room for eight parameters of a posterior and its prior.
            false => (self.stream / 8 + 1) * 8,
        };
        let mut values = vec![0.0; param.shape().num_elements()];
        NoiseKey::new(20, 26, self.stream).fill_standard_normal(0, &mut values);
        param.map(|value| {
            let data = TensorData::new(values, value.shape());
            let noise = Tensor::<D>::from_data(data, &value.device()) * self.scale;
            let train = value.is_require_grad();
            let value = match is_attached {
                true => value.detach() + noise,
                false => noise,
            };
            value.cast(self.dtype).detach().set_require_grad(train)
        })
    }
}

/// Compares digests with those of a table, and prints the table as it would be now if they differ.
pub fn assert_table(expected: &[(&str, u64)], got: &BTreeMap<String, u64>) {
    let expected: BTreeMap<String, u64> = expected
        .iter()
        .map(|(name, digest)| ((*name).to_string(), *digest))
        .collect();
    if expected == *got {
        return;
    }
    let mut table = String::new();
    for (name, digest) in got {
        let mark = match expected.get(name) {
            Some(before) if before == digest => "",
            Some(_) => " // changed",
            None => " // new",
        };
        table += &format!("    (\"{name}\", 0x{digest:016x}),{mark}\n");
    }
    panic!("the values drawn have changed:\n{table}");
}
