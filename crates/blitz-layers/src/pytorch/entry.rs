//! A tensor of the file, and the parameters that it is made of.

use blitz_core::{in_type_of, wide_type};
use burn::module::{Param, ParamId};
use burn::tensor::{Bool, Shape, Tensor, TensorData};

use super::walk::{Step, Survey};

/// The ρ that is written for a pruned weight. Its deviation, e^-40, vanishes beside any other, and squares of it are
/// numbers of `f32`, so that the libraries' own KL is finite.
const PRUNED_RHO: f64 = -40.0;

/// A tensor of the file.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its path there. The container of the last component is a linear layer, whose values Burn keeps in half precision
    /// on request; the name is none that its adapters transpose.
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
    /// That of the weight whose mean or ρ it is.
    pub weight: String,
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

    /// Whether each place but the spare one has its parameter, or both of those that share it, and all are of one
    /// shape.
    pub fn is_whole(&self) -> bool {
        let shape = &self.parts[0].shape;
        if self.parts.iter().any(|part| part.shape != *shape) {
            return false;
        }
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
            let value = part.value(survey);
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

    /// The values of the parameters, each as one vector, out of the tensor of the file. What is pruned keeps the value
    /// that it has.
    pub fn apart<const D: usize>(
        &self,
        value: Tensor<D>,
        survey: &Survey,
    ) -> Vec<(String, Tensor<1>)> {
        let along = match self.transposed {
            true => 1 - self.axis,
            false => self.axis,
        };
        let parts = self.parts.iter().map(|part| {
            let length = part.shape[along];
            let block = value.clone().narrow(self.axis, part.index * length, length);
            let block: Tensor<1> = self.turned(block).reshape([-1]);
            let kept = self.kept_at(part.index, &block, survey);
            let value = part.share.of(block, kept);
            (part.path.clone(), part.with_pruned(value, survey))
        });
        parts.collect()
    }

    /// How many of the parameters in one place are not pruned, for each value there.
    fn kept_at(&self, index: usize, like: &Tensor<1>, survey: &Survey) -> Tensor<1> {
        let parts = self.parts.iter().filter(|part| part.index == index);
        parts.fold(like.zeros_like(), |kept, part| {
            let one = like.ones_like();
            kept + match survey.pruned.get(&part.weight) {
                Some(pruned) => one.mask_fill(pruned.clone().to_device(&like.device()), 0.0),
                None => one,
            }
        })
    }

    fn turned<const D: usize>(&self, part: Tensor<D>) -> Tensor<D> {
        match self.transposed {
            true => part.swap_dims(0, 1),
            false => part,
        }
    }
}

impl Part {
    /// The value that the network computes with: of a pruned weight, a mean of zero and a deviation of next to nothing.
    fn value(&self, survey: &Survey) -> Tensor<1> {
        let value = survey.values[&self.path].clone().detach();
        let nothing = if self.path == self.weight {
            0.0
        } else {
            PRUNED_RHO
        };
        match survey.pruned.get(&self.weight) {
            Some(pruned) => value.mask_fill(pruned.clone(), nothing),
            None => value,
        }
    }

    /// These values, and the present ones of pruned weights.
    fn with_pruned(&self, values: Tensor<1>, survey: &Survey) -> Tensor<1> {
        match survey.pruned.get(&self.weight) {
            Some(pruned) => keep(values, pruned, survey.values[&self.path].clone()),
            None => values,
        }
    }
}

/// `new`, with `old` where it is pruned.
pub(super) fn keep<const D: usize>(
    new: Tensor<D>,
    pruned: &Tensor<1, Bool>,
    old: Tensor<D>,
) -> Tensor<D> {
    let device = new.device();
    let pruned = pruned.clone().to_device(&device).reshape(new.shape());
    let old = in_type_of(old.detach().to_device(&device), &new);
    new.mask_where(pruned, old)
}

impl Share {
    /// How many halves of its place it takes.
    fn halves(self) -> usize {
        match self {
            Self::Whole => 2,
            Self::HalfOfMean | Self::HalfOfVariance => 1,
        }
    }

    /// The parameter's part of the file's values, of which so many parameters have one. All of it belongs to one whose
    /// other half is pruned.
    fn of(self, value: Tensor<1>, sharers: Tensor<1>) -> Tensor<1> {
        match self {
            Self::Whole => value,
            Self::HalfOfMean => value / sharers.clamp_min(1.0),
            Self::HalfOfVariance => {
                let sharers: Vec<f64> = sharers.clamp_min(1.0).into_data().iter::<f64>().collect();
                let mut sharers = sharers.into_iter();
                on_host(value, |rho| {
                    let sharers = sharers.next().expect("two tensors of one shape");
                    rho_of(std_of(rho) / sharers.sqrt())
                })
            }
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
                let both = on_host(one.clone(), |one| {
                    let other = other.next().expect("two tensors of one shape");
                    rho_of(std_of(one).hypot(std_of(other)))
                });
                // It stands beside those of other parameters.
                in_type_of(both, &one)
            }
        }
    }
}

/// In `f64`, where a small deviation and its square keep their digits; the result in `f32` at least, as ρ is elsewhere.
fn on_host<const D: usize>(tensor: Tensor<D>, f: impl FnMut(f64) -> f64) -> Tensor<D> {
    let (shape, device) = (tensor.shape(), tensor.device());
    let dtype = wide_type(tensor.dtype());
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
    use blitz_core::at_least_f32;
    use burn::tensor::{DType, Device};

    use super::*;

    #[test]
    fn all_of_a_sum_belongs_to_the_one_bias_that_is_not_pruned() {
        let vector = |values: [f64; 3]| Tensor::<1>::from_data(values, &Device::flex());
        let sharers = vector([2.0, 1.0, 0.0]);
        let means = Share::HalfOfMean.of(vector([0.5; 3]), sharers.clone());
        let means: Vec<f64> = means.into_data().iter().collect();
        assert_eq!(means, [0.25, 0.5, 0.5]);
        let rhos = Share::HalfOfVariance.of(vector([-9.0; 3]), sharers);
        let rhos: Vec<f64> = rhos.into_data().iter().collect();
        for (rho, expected) in rhos.iter().zip([-9.0 - 0.5 * 2f64.ln(), -9.0, -9.0]) {
            assert!((rho - expected).abs() < 1e-3, "{rho} for {expected}");
        }
    }

    #[test]
    fn a_rho_of_half_a_variance_keeps_its_digits_beside_a_file_of_16_bits() {
        for dtype in [DType::BF16, DType::F16] {
            let rho = Tensor::<1>::full([3], -9.5, (&Device::flex(), dtype));
            let half = Share::HalfOfVariance.of(rho.clone(), rho.full_like(2.0));
            let expected = rho_of(std_of(-9.5) / 2f64.sqrt());
            for half in half.into_data().iter::<f64>() {
                assert!((half - expected).abs() < 1e-6, "{half} for {expected}");
            }
        }
    }

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
            let both = Share::HalfOfVariance.together(rho.clone(), rho.clone());
            let halves = Share::HalfOfVariance.of(both, rho.full_like(2.0));
            let distance = (halves - at_least_f32(rho))
                .abs()
                .max()
                .into_scalar::<f64>();
            assert!(distance < rounding, "{dtype:?}: {distance}");
        }
    }
}
