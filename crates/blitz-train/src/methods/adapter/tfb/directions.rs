//! The directions of an adapter in which its noise has one deviation.

use std::collections::{HashMap, HashSet};

use blitz_layers::blitz_core::noise::NoiseKey;
use blitz_layers::blitz_core::{BayesianModule, NormalPosterior, NormalPrior, at_least_f32};
use burn::module::{Module, ParamId};
use burn::tensor::{DType, Tensor, TensorData};
use nalgebra::DMatrix;

use super::super::error::AdapterError;
use super::super::factors::{Adapter, with_training};
use super::TfbError;

/// The share of the largest singular value below which one is nothing but rounding, of a factor in `f32` and in 16
/// bits.
const SMALLEST: f64 = 1e-5;
const SMALLEST_IN_16_BITS: f64 = 1e-3;

/// An adapter in the directions of its factor b.
#[derive(Debug)]
pub(super) struct Directions {
    a: (ParamId, Tensor<2>),
    a_path: String,
    a_trains: bool,
    b: (ParamId, Tensor<2>),
    /// `1 / (scale · s_j)` for column j of a.
    per_std: Vec<f64>,
}

impl Directions {
    pub(super) fn of(adapter: &Adapter) -> Result<Self, TfbError> {
        let a = host(&adapter.a.value);
        let b = host(&adapter.b.value);
        for (factor, values) in [(&adapter.a, &a), (&adapter.b, &b)] {
            let path = factor.path.clone();
            if factor.has_posterior {
                return Err(AdapterError::Posterior { path }.into());
            }
            if !values.iter().all(|value| value.is_finite()) {
                return Err(AdapterError::NonFinite { path }.into());
            }
        }
        let svd = b.clone().svd(true, false);
        let Some(u) = svd.u else {
            unreachable!("it was asked for")
        };
        let largest = svd.singular_values.max();
        if largest == 0.0 {
            return Err(TfbError::Untrained {
                path: adapter.path.clone(),
            });
        }
        let smallest = match adapter.a.value.dtype() {
            DType::F16 | DType::BF16 => SMALLEST_IN_16_BITS,
            _ => SMALLEST,
        };
        // A direction that the adapter does not use adds nothing, whatever its deviation: the widest of the others,
        // which the numbers of its type hold.
        let used = svd.singular_values.iter().copied();
        let narrowest = used
            .filter(|s| *s > smallest * largest)
            .fold(largest, f64::min);
        let per_std = svd.singular_values.iter();
        let per_std = per_std.map(|s| (adapter.scale.abs() * s.max(narrowest)).recip());
        Ok(Self {
            a: (adapter.a.id, tensor(&(a * &u), &adapter.a.value)),
            a_path: adapter.a.path.clone(),
            a_trains: adapter.a.trains,
            b: (adapter.b.id, tensor(&(u.transpose() * b), &adapter.b.value)),
            per_std: per_std.collect(),
        })
    }

    /// The factors, turned.
    pub(super) fn factors(&self) -> [(ParamId, Tensor<2>); 2] {
        [self.a.clone(), self.b.clone()]
    }

    /// What the normals of a stream add to the factor a at σ = 1, in `f32` at least.
    pub(super) fn noise(&self, key: NoiseKey) -> Tensor<2> {
        let a = &self.a.1;
        let mut normals = vec![0.0; a.shape().num_elements()];
        key.fill_standard_normal(0, &mut normals);
        let per_std = self.per_std.iter().cycle();
        let noise = normals.iter().zip(per_std);
        let noise: Vec<f64> = noise
            .map(|(eps, per_std)| f64::from(*eps) * per_std)
            .collect();
        let dtype = at_least_f32(a.clone()).dtype();
        Tensor::from_data(TensorData::new(noise, a.shape()), (&a.device(), dtype))
    }

    /// The factor a with so much of a noise.
    pub(super) fn moved(&self, noise: &Tensor<2>, std: f64) -> (ParamId, Tensor<2>) {
        let (id, a) = &self.a;
        let moved = at_least_f32(a.clone()) + noise.clone() * std;
        (*id, moved.cast(a.dtype()))
    }

    /// A normal around a of deviation σ in the merged weight.
    fn posterior(&self, std: f64) -> NormalPosterior {
        let a = &self.a.1;
        // Of an adapter of a large scale, a deviation may be below what a posterior can have.
        let row = self
            .per_std
            .iter()
            .map(|per_std| (std * per_std).max(1e-30));
        let [rows, _] = a.dims();
        let row: Vec<f64> = row.collect();
        let data = TensorData::new(row.repeat(rows), a.shape());
        // In 16 bits the smallest would be zero.
        let dtype = at_least_f32(a.clone()).dtype();
        NormalPosterior::from_std(Tensor::<2>::from_data(data, (&a.device(), dtype)))
    }
}

/// The network with a posterior of deviation σ on each factor a.
pub(super) fn spread<N: Module>(network: &N, directions: &[Directions], std: f64) -> N {
    let by_path: HashMap<&str, &Directions> = directions
        .iter()
        .map(|directions| (directions.a_path.as_str(), directions))
        .collect();
    // A posterior is attached to what trains, and nothing here is trained: a factor that is frozen is as good.
    let frozen = directions.iter().filter(|directions| !directions.a_trains);
    let frozen: HashSet<ParamId> = frozen.map(|directions| directions.a.0).collect();
    let network = with_training(network.clone(), frozen.clone(), true);
    let network = network.attach_posteriors(|weight| {
        let directions = by_path.get(weight.path)?;
        Some((directions.posterior(std), NormalPrior::new(1.0)))
    });
    with_training(network, frozen, false)
}

fn host(tensor: &Tensor<2>) -> DMatrix<f64> {
    let [rows, columns] = tensor.dims();
    let values: Vec<f64> = tensor.to_data().iter::<f64>().collect();
    DMatrix::from_row_slice(rows, columns, &values)
}

/// On the device and in the type of `like`.
fn tensor(matrix: &DMatrix<f64>, like: &Tensor<2>) -> Tensor<2> {
    let values: Vec<f64> = matrix.transpose().as_slice().to_vec();
    let data = TensorData::new(values, [matrix.nrows(), matrix.ncols()]);
    Tensor::from_data(data, (&like.device(), like.dtype()))
}
