//! A pass of moments: each weight is read as its mean and its variance, and the pass remembers which were.

use std::any::Any;
use std::collections::{HashMap, HashSet};

use burn::module::{Param, ParamId};
use burn::tensor::Tensor;
use burn::tensor::module::linear;

use super::attached::has_adapters;
use super::scope::with_pass;
use super::{Draw, Part, PartSlot};
use crate::family::at_least_f32;

/// What the weights of a network are read as in a [pass of moments](crate::BayesianModule::with_moments), kept for the
/// next pass: their variances are functions of the posteriors' parameters, which a prediction leaves as they are.
///
/// Belongs to the network that it was filled by. Three numbers a weight at most, of a full-rank posterior as many again
/// as its factors have.
#[derive(Default)]
pub struct KeptMoments {
    values: HashMap<(ParamId, Kind), Box<dyn Any + Send>>,
    /// The parts that have to be read, once they are known.
    pub(crate) parts: Option<Vec<(ParamId, String)>>,
}

impl std::fmt::Debug for KeptMoments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tensors = &self.values.len();
        f.debug_struct("KeptMoments")
            .field("tensors", tensors)
            .finish_non_exhaustive()
    }
}

/// What is kept of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Moments,
    SecondMoment,
    Columns,
}

/// What a pass of moments has read.
pub(crate) struct Pass {
    /// Those whose variance was read.
    read: HashSet<ParamId>,
    /// Those of which the mean alone was read.
    alone: HashSet<ParamId>,
    pub kept: KeptMoments,
}

impl Pass {
    pub(super) fn new(kept: KeptMoments) -> Self {
        Self {
            read: HashSet::new(),
            alone: HashSet::new(),
            kept,
        }
    }

    /// Whether a weight or a random layer took part with its variance, wherever it was read.
    pub fn has(&self, id: ParamId) -> bool {
        self.read.contains(&id) && !self.alone.contains(&id)
    }
}

/// The open pass read the mean alone.
pub(crate) fn note_alone(id: ParamId) {
    with_pass(|pass| pass.alone.insert(id));
}

/// The open pass read the variance.
pub(super) fn note_read(id: ParamId) {
    with_pass(|pass| pass.read.insert(id));
}

/// What the open pass keeps under this key, or what is made for it.
fn kept<T: Clone + Send + 'static>(key: (ParamId, Kind), make: impl FnOnce() -> T) -> T {
    let value = with_pass(|pass| pass.kept.values.get(&key)?.downcast_ref::<T>().cloned());
    if let Some(value) = value.flatten() {
        return value;
    }
    let value = make();
    with_pass(|pass| pass.kept.values.insert(key, Box::new(value.clone()))).flatten();
    value
}

/// The identity of a parameter's posterior, if the weight is sampled. That of the tensor would not tell weights apart:
/// a frozen copy has it, and networks that were loaded from one file.
fn sampled_posterior<const D: usize>(param: &Param<Tensor<D>>) -> Option<ParamId> {
    if has_adapters(param) {
        return None;
    }
    let scope = Draw::part(Part::Identity);
    drop(param.val());
    match scope.finish_part() {
        PartSlot::Part(posterior, _) => Some(posterior),
        PartSlot::Untouched | PartSlot::Unavailable => None,
    }
}

/// Reads weights as their means, in a [pass of moments](crate::BayesianModule::with_moments) and without one: for a
/// layer that has no variance to give.
///
/// A pass remembers that their variances are left out, and refuses the result.
///
/// ```
/// use blitz_core::prelude::*;
/// use blitz_core::read_means;
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
///
/// let layer = LinearConfig::new(3, 2).init(&Device::flex()).bayesianize(&BayesianizeConfig::new());
/// let weight = read_means(|| layer.weight.val());
/// assert_eq!(weight.into_data(), layer.weight.base().into_data());
/// ```
pub fn read_means<R>(read: impl FnOnce() -> R) -> R {
    // In a pass they are means already, and it has to know.
    let _mean = with_pass(|_| ()).is_none().then(Draw::mean);
    read()
}

/// The mean and the variance of each weight of a parameter, for a layer that propagates moments.
///
/// ```
/// use blitz_core::WeightMoments;
/// use blitz_core::prelude::*;
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
///
/// let config = BayesianizeConfig::new().with_posterior(PosteriorConfig::normal(0.1));
/// let layer = LinearConfig::new(3, 2).init(&Device::flex()).bayesianize(&config);
/// let weight = layer.with_moments(|layer| WeightMoments::of(&layer.weight));
/// // The bias was not read.
/// assert!(weight.unwrap_err().to_string().contains("bias"));
///
/// let weight = WeightMoments::of(&layer.weight);
/// assert_eq!(weight.mean.into_data(), layer.weight.base().into_data());
/// let variances = weight.variance.unwrap().into_data();
/// assert!(variances.iter::<f32>().all(|v| (v - 0.01).abs() < 1e-6));
/// ```
#[derive(Debug, Clone)]
pub struct WeightMoments<const D: usize> {
    /// The means.
    pub mean: Tensor<D>,
    /// The variances, in `f32` at least; `None` of weights that are one value each: without a posterior, in the mean
    /// mode, and where sampling is frozen. So it is of a posterior whose weights are
    /// [correlated](crate::PosteriorStructure::General), for which a linear layer has [`ColumnMoments`], and of a
    /// weight that is made of factors, whose means are there alone; a pass of moments refuses both.
    pub variance: Option<Tensor<D>>,
    /// The identity of the posterior, where the weight is sampled.
    posterior: Option<ParamId>,
}

impl<const D: usize> WeightMoments<D> {
    /// Those of a parameter. An open [pass of moments](crate::BayesianModule::with_moments) takes the parameter for one
    /// whose variance goes on in the layer's output.
    pub fn of(param: &Param<Tensor<D>>) -> Self {
        match sampled_posterior(param) {
            Some(posterior) => Self::of_sampled(param, posterior),
            None => Self::of_constant(param),
        }
    }

    fn of_constant(param: &Param<Tensor<D>>) -> Self {
        Self {
            mean: read_means(|| param.val()),
            variance: None,
            posterior: None,
        }
    }

    fn of_sampled(param: &Param<Tensor<D>>, posterior: ParamId) -> Self {
        let moments = kept((posterior, Kind::Moments), || Self::read(param, posterior));
        if moments.variance.is_some() {
            note_read(posterior);
        }
        moments
    }

    fn read(param: &Param<Tensor<D>>, posterior: ParamId) -> Self {
        let scope = Draw::part(Part::Moments);
        let mean = param.val();
        let (mean, variance) = match scope.finish_part() {
            // Read again, outside the scope.
            PartSlot::Untouched | PartSlot::Unavailable => (read_means(|| param.val()), None),
            PartSlot::Part(_, part) => match part.downcast() {
                Ok(variance) => (mean, Some(*variance)),
                Err(_) => unreachable!("a part has its weight's rank"),
            },
        };
        Self {
            mean,
            variance,
            posterior: Some(posterior),
        }
    }

    /// `E w²`, in `f32` at least.
    pub fn second_moment(&self) -> Tensor<D> {
        let make = || {
            let square = at_least_f32(self.mean.clone()).square();
            match &self.variance {
                Some(variance) => square + variance.clone(),
                None => square,
            }
        };
        match self.posterior {
            Some(posterior) => kept((posterior, Kind::SecondMoment), make),
            None => make(),
        }
    }
}

/// The moments of a weight `[inputs, outputs]` for a layer `x W`: those of each weight and, where the weights that lead
/// to an output are correlated, the [factors](crate::Posterior::column_factors) of their covariances.
///
/// ```
/// use blitz_core::ColumnMoments;
/// use blitz_core::prelude::*;
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let config = BayesianizeConfig::new().with_posterior(PosteriorConfig::full_rank_normal(0.1));
/// let layer = LinearConfig::new(3, 2).with_bias(false).init(&device).bayesianize(&config);
/// let x = Tensor::<2>::from_floats([[1.0, 2.0, 2.0]], &device);
/// let variance = layer.with_moments(|layer| ColumnMoments::of(&layer.weight).output_variance(x))?;
/// // 0.1² ‖x‖², as long as nothing is correlated.
/// let variances = variance.unwrap().into_data();
/// assert!(variances.iter::<f32>().all(|v| (v - 0.09).abs() < 1e-6));
/// # Ok::<(), blitz_core::MomentsError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ColumnMoments {
    /// Of each weight by itself.
    pub weights: WeightMoments<2>,
    /// `L_j` of `Cov[w_j] = L_j L_jᵀ`, `[outputs, inputs, k]`, in `f32` at least; `None` of independent weights.
    pub factors: Option<Tensor<3>>,
}

impl ColumnMoments {
    /// Those of a parameter, as [`WeightMoments::of`].
    pub fn of(param: &Param<Tensor<2>>) -> Self {
        let Some(posterior) = sampled_posterior(param) else {
            return Self::without_factors(WeightMoments::of_constant(param));
        };
        match kept((posterior, Kind::Columns), || Self::read(param, posterior)) {
            Some(columns) => {
                note_read(posterior);
                columns
            }
            None => Self::without_factors(WeightMoments::of_sampled(param, posterior)),
        }
    }

    fn without_factors(weights: WeightMoments<2>) -> Self {
        Self {
            weights,
            factors: None,
        }
    }

    /// Where there are correlations.
    fn read(param: &Param<Tensor<2>>, posterior: ParamId) -> Option<Self> {
        let scope = Draw::part(Part::ColumnFactors);
        let mean = param.val();
        let PartSlot::Part(_, part) = scope.finish_part() else {
            return None;
        };
        let Ok(factors) = part.downcast::<Tensor<3>>() else {
            unreachable!("factors were asked for")
        };
        let variance = factors.clone().square().sum_dim(2).squeeze_dim::<2>(2);
        let weights = WeightMoments {
            mean,
            variance: Some(variance.transpose()),
            posterior: Some(posterior),
        };
        let factors = Some(*factors);
        Some(Self { weights, factors })
    }

    /// `Var[x W]` of inputs x that are certain, whose last axis is the weight's first, in `f32` at least; `None` of
    /// weights that are one value each.
    pub fn output_variance<const D: usize>(&self, x: Tensor<D>) -> Option<Tensor<D>> {
        let x = at_least_f32(x);
        let [inputs, outputs] = self.weights.mean.dims();
        let mut shape = x.dims();
        shape[D - 1] = outputs;
        let rows = shape[..D - 1].iter().product();
        let variance = self.weights.variance.clone()?;
        if rows == 0 {
            // Burn's products and shapes have no place for it.
            return Some(Tensor::zeros(shape, (&x.device(), x.dtype())));
        }
        let Some(factors) = &self.factors else {
            return Some(linear(x.square(), variance, None));
        };
        // ‖L_jᵀ x‖² of each row of x and each j.
        let projected = x.reshape([1, rows, inputs]).matmul(factors.clone());
        let variance = projected.square().sum_dim(2).squeeze_dim::<2>(2);
        Some(variance.transpose().reshape(shape))
    }
}
