//! A tensor of the file, and the parameters that it is made of.

use burn::module::{Param, ParamId};
use burn::tensor::{Shape, Tensor, TensorData};

use super::walk::{Step, Survey};

/// A tensor of the file.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its path there. The container of the last component is a linear layer, whose values Burn keeps in half precision on request; the name is none
    /// that its adapters transpose.
    pub steps: Vec<Step>,
    /// In the order in which they lie there.
    pub parts: Vec<Part>,
    /// How many of them the tensor has room for.
    pub blocks: usize,
    /// The place where there is none, as BLiTZ's GRU has one.
    pub spare: Option<usize>,
    /// Whether the file has them transposed, as PyTorch has the matrices of linear layers.
    pub transposed: bool,
    /// The axis of the file along which they lie one after the other.
    pub axis: usize,
    /// Whether it is the mean of a weight whose deviation is another entry.
    pub has_posterior: bool,
}

/// A parameter within a tensor of the file.
#[derive(Debug)]
pub(super) struct Part {
    /// The path of the parameter.
    pub path: String,
    /// Its shape here; that of a weight for its ρ, which is stored flat.
    pub shape: Shape,
    /// Its place along the axis, in units of its own length.
    pub index: usize,
    /// How much of it belongs to the parameter.
    pub share: Share,
}

/// What a parameter has of a value of the file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Share {
    /// The value.
    Whole,
    /// Half of a mean, which is that of a sum of two here.
    HalfOfMean,
    /// The ρ of half the variance, likewise.
    HalfOfVariance,
}

impl Entry {
    pub fn rank(&self) -> usize {
        self.parts[0].shape.num_dims()
    }

    /// Whether each place but the spare one has its parameter, or both of those that share it.
    pub fn is_whole(&self) -> bool {
        (0..self.blocks).all(|index| {
            let parts = self.parts.iter().filter(|part| part.index == index);
            let halves: usize = parts.map(|part| part.share.halves()).sum();
            halves == if self.spare == Some(index) { 0 } else { 2 }
        })
    }

    /// The paths of the parameters.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|part| part.path.as_str())
    }

    /// The tensor of the file with the values at hand; zeros in the spare place.
    pub fn param<const D: usize>(&self, survey: &Survey) -> Param<Tensor<D>> {
        let mut blocks: Vec<Tensor<D>> = Vec::new();
        for part in &self.parts {
            let value = survey.values[&part.path].clone().detach();
            let value = self.turned(value.reshape::<D, _>(part.shape.clone()));
            while blocks.len() < part.index {
                blocks.push(value.zeros_like());
            }
            match blocks.len() > part.index {
                true => {
                    let other = blocks.remove(part.index);
                    blocks.insert(part.index, part.share.together(other, value));
                }
                false => blocks.push(value),
            }
        }
        // The spare place may be the last one.
        while blocks.len() < self.blocks {
            blocks.push(blocks[0].zeros_like());
        }
        Param::initialized(ParamId::new(), Tensor::cat(blocks, self.axis))
    }

    /// The values of the parameters, each as one vector, out of the tensor of the file.
    pub fn apart<const D: usize>(&self, value: Tensor<D>) -> Vec<(String, Tensor<1>)> {
        let along = match self.transposed {
            true => 1 - self.axis,
            false => self.axis,
        };
        let parts = self.parts.iter().map(|part| {
            let length = part.shape[along];
            let block = value.clone().narrow(self.axis, part.index * length, length);
            let block = self.turned(block).reshape([-1]);
            (part.path.clone(), part.share.of(block))
        });
        parts.collect()
    }

    fn turned<const D: usize>(&self, part: Tensor<D>) -> Tensor<D> {
        match self.transposed {
            true => part.swap_dims(0, 1),
            false => part,
        }
    }
}

impl Share {
    /// How many halves of its place it takes.
    fn halves(self) -> usize {
        match self {
            Self::Whole => 2,
            Self::HalfOfMean | Self::HalfOfVariance => 1,
        }
    }

    /// The parameter's part of the file's values.
    fn of(self, value: Tensor<1>) -> Tensor<1> {
        match self {
            Self::Whole => value,
            Self::HalfOfMean => value * 0.5,
            Self::HalfOfVariance => on_host(value, |rho| rho_of(std_of(rho) / 2f64.sqrt())),
        }
    }

    /// The file's values of two parameters.
    fn together<const D: usize>(self, one: Tensor<D>, other: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Whole => unreachable!("two parameters in one place"),
            Self::HalfOfMean => one + other,
            Self::HalfOfVariance => {
                let other: Vec<f64> = other.into_data().iter::<f64>().collect();
                let mut other = other.into_iter();
                on_host(one, |one| {
                    let other = other.next().expect("two tensors of one shape");
                    rho_of(std_of(one).hypot(std_of(other)))
                })
            }
        }
    }
}

/// In `f64`, where a small deviation and its square keep their digits.
fn on_host<const D: usize>(tensor: Tensor<D>, f: impl FnMut(f64) -> f64) -> Tensor<D> {
    let (shape, device, dtype) = (tensor.shape(), tensor.device(), tensor.dtype());
    let values: Vec<f64> = tensor.into_data().iter::<f64>().map(f).collect();
    Tensor::from_data(TensorData::new(values, shape), (&device, dtype))
}

/// σ = ln(1 + e^ρ).
fn std_of(rho: f64) -> f64 {
    rho.max(0.0) + (-rho.abs()).exp().ln_1p()
}

/// And back.
fn rho_of(std: f64) -> f64 {
    std + (-(-std).exp_m1()).ln()
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device};

    use super::*;

    #[test]
    fn two_small_deviations_have_one_that_is_no_zero() {
        let device = Device::flex();
        // Of small ones ρ is the logarithm.
        for (rho, dtype) in [
            (-9.5, DType::F16),
            (-60.0, DType::F32),
            (-400.0, DType::F64),
        ] {
            let rho = Tensor::<1>::full([2], rho, (&device, dtype));
            let both = Share::HalfOfVariance.together(rho.clone(), rho.clone());
            let more = (both - rho.clone())
                .into_data()
                .iter::<f64>()
                .collect::<Vec<_>>();
            // The distance of two numbers of 16 bits there.
            let rounding = if dtype == DType::F16 { 8e-3 } else { 1e-5 };
            assert!(
                more.iter()
                    .all(|more| (more - 0.5 * 2f64.ln()).abs() < rounding),
                "{dtype:?}: {more:?}"
            );
            let halves =
                Share::HalfOfVariance.of(Share::HalfOfVariance.together(rho.clone(), rho.clone()));
            let distance = (halves - rho).abs().max().into_scalar::<f64>();
            assert!(distance < rounding, "{dtype:?}: {distance}");
        }
    }
}
