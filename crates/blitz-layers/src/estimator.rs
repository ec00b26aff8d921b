//! How a Bayesian layer estimates its output under the posterior.

use blitz_core::{PosteriorStructure, VarianceFactors, WeightReading, at_least_f32};
use burn::config::Config;
use burn::module::Param;
use burn::tensor::{Shape, Tensor};

use crate::axes::{Features, LayerAxes, Rows, along};
use crate::rows::expanded;

/// The estimator of a layer's output: the same mean and the same variance for each row, with different noise between
/// the rows of a batch, and different cost.
///
/// | | rows share their weights | posteriors | products | noise |
/// |---|---|---|---|---|
/// | shared weights | yes | all | 1 | one normal a weight |
/// | local reparameterization | no | independent normals | 2, of rank-one variances 1 | one normal an output |
/// | flipout | no | sign-symmetric ones | 2 | one normal a weight, one bit an input and an output |
///
/// A layer refuses at its initialization a posterior that its estimator is wrong for. A layer whose posterior is
/// exchanged later, or whose public `estimator` is set by hand, reads the weights of its draw instead. So does every
/// layer in the mean mode and with its sampling frozen, when there is nothing to estimate.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Estimator {
    /// One sample of the weights per draw, shared by the whole batch (Blundell et al. 2015).
    ///
    /// Works for every posterior. The rows of a batch share their noise, so the variance of the gradient does not
    /// fall as one over the batch: it levels off.
    SharedWeights,
    /// Samples the layer's output instead of its weights, independently for each row (Kingma, Salimans & Welling,
    /// *Variational dropout and the local reparameterization trick*, 2015).
    ///
    /// For [independent normals](PosteriorStructure::IndependentNormal). Where their variances are products of two
    /// factors, as those of a
    /// [`MatrixNormalPosterior`](blitz_core::MatrixNormalPosterior), `Var(out_j) = b_j² Σ_i x_i² a_i²`: a product with a vector takes the place of the one
    /// with the variances, exactly. In a convolution the positions of one row are sampled independently as well: each
    /// has the right mean and variance, their correlation is lost. Its rows don't belong to one joint sample of the
    /// weights: a draw's network ([`sample_network`](blitz_core::BayesianModule::sample_network)) is not what it
    /// computed with. So it is for training; predictions compute with the draw's own weights
    /// ([`Draw::with_shared_weights`](blitz_core::Draw::with_shared_weights)).
    LocalReparameterization,
    /// Flips the signs of the draw's perturbation at random for each row (Wen, Vicol, Ba, Tran & Grosse, *Flipout:
    /// efficient pseudo-independent weight perturbations on mini-batches*, 2018): the rows are uncorrelated, and the
    /// positions of one row share their weights, as they should in a convolution and a recurrent layer.
    ///
    /// For independent normals and other posteriors [symmetric in each weight's
    /// sign](PosteriorStructure::SignSymmetric) around the mean. A row's weights are a sample of the posterior, but not
    /// the draw's own.
    Flipout,
}

impl Estimator {
    /// Whether the estimator has the moments of a posterior of that structure.
    fn allows(self, structure: PosteriorStructure) -> bool {
        use PosteriorStructure::{IndependentNormal, SignSymmetric};

        match self {
            Self::SharedWeights => true,
            Self::LocalReparameterization => structure == IndependentNormal,
            Self::Flipout => matches!(structure, IndependentNormal | SignSymmetric),
        }
    }

    pub(crate) fn assert_allows(self, structure: PosteriorStructure, path: &str) {
        let others = [Self::Flipout, Self::SharedWeights];
        let instead = others.into_iter().find(|other| other.allows(structure));
        assert!(
            self.allows(structure),
            "{self:?} is wrong for the posterior of {path}, whose structure is {structure:?}: use Estimator::{:?}, or another posterior",
            instead.expect("shared weights are right for all")
        );
    }
}

/// The output `op(input, w, b)` of a layer that is linear in its weight and bias, as `estimator` samples it.
pub(crate) fn estimate<const I: usize, const W: usize, const O: usize>(
    estimator: Estimator,
    axes: LayerAxes,
    input: Tensor<I>,
    weight: &Param<Tensor<W>>,
    bias: Option<&Param<Tensor<1>>>,
    op: impl Fn(Tensor<I>, Tensor<W>, Option<Tensor<1>>) -> Tensor<O>,
) -> Tensor<O> {
    match estimator {
        Estimator::SharedWeights => op(input, weight.val(), bias.map(Param::val)),
        Estimator::LocalReparameterization => local(axes, input, weight, bias, op),
        Estimator::Flipout => flipout(axes.features, input, weight, bias, op),
    }
}

/// `N(op(x, M, m), op(x², S², s²))`, elementwise.
fn local<const I: usize, const W: usize, const O: usize>(
    axes: LayerAxes,
    input: Tensor<I>,
    weight: &Param<Tensor<W>>,
    bias: Option<&Param<Tensor<1>>>,
    op: impl Fn(Tensor<I>, Tensor<W>, Option<Tensor<1>>) -> Tensor<O>,
) -> Tensor<O> {
    if let Some(weight) = WeightReading::with_variance_factors(weight) {
        let (bias_mean, bias_variance) = parts(bias.map(WeightReading::with_variance));
        let squares = at_least_f32(input.clone()).square();
        let shape = weight.mean.shape();
        let variance = rank_one_variance(axes, squares, &weight.part, &shape, &op);
        let variance = match bias_variance {
            Some(of_bias) => variance + along(of_bias, axes.features.axis(O)),
            None => variance,
        };
        let mean = op(input, weight.mean.clone(), bias_mean);
        return weight.draw_output(mean, variance);
    }
    let weight = match WeightReading::with_variance(weight) {
        WeightReading::Value(weight) => return op(input, weight, bias.map(Param::val)),
        WeightReading::Split(weight) => weight,
    };
    let (bias_mean, bias_variance) = parts(bias.map(WeightReading::with_variance));
    // A square of more than 256 is more than `f16` holds.
    let squares = at_least_f32(input.clone()).square();
    let variance = op(squares, weight.part.clone(), bias_variance);
    let mean = op(input, weight.mean.clone(), bias_mean);
    weight.draw_output(mean, variance)
}

/// `op(x², S²)` of variances `S² = rows ⊗ columns` of a weight of `shape`, without them: `op` sees one feature, or one
/// a group, on one of its sides.
fn rank_one_variance<const I: usize, const W: usize, const O: usize>(
    axes: LayerAxes,
    squares: Tensor<I>,
    factors: &VarianceFactors,
    shape: &Shape,
    op: impl Fn(Tensor<I>, Tensor<W>, Option<Tensor<1>>) -> Tensor<O>,
) -> Tensor<O> {
    let LayerAxes {
        features,
        rows,
        groups,
    } = axes;
    let mut dims: [usize; W] = shape.dims();
    let rows_of_weight = dims[0];
    dims[0] = 1;
    // The groups have the same columns.
    let columns = || {
        let columns = factors.columns.clone().reshape(dims);
        columns.repeat_dim(0, groups)
    };
    match (rows, features) {
        // A product with a vector, whose sums are as exact as those of the other product, also in 16 bits.
        (Rows::Inputs, Features::Last | Features::LastAfterPositions) => {
            let sums = op(squares, along(factors.rows.clone(), 0), None);
            sums * along(factors.columns.clone(), features.axis(O))
        }
        (Rows::Inputs, Features::Second) => {
            let axis = features.axis(I);
            let weighted = squares * along(factors.rows.clone(), axis);
            op(sum_groups(weighted, axis, groups), columns(), None)
        }
        (Rows::Outputs, _) => {
            let sums = op(squares, columns(), None);
            let sums = repeat_groups(sums, groups, rows_of_weight / groups);
            sums * along(factors.rows.clone(), features.axis(O))
        }
    }
}

/// The features of `groups` groups summed up in each, on `axis`.
fn sum_groups<const D: usize>(values: Tensor<D>, axis: usize, groups: usize) -> Tensor<D> {
    if groups == 1 {
        return values.sum_dim(axis);
    }
    let mut dims = values.dims();
    let positions = dims[2..].iter().product();
    let grouped = values.reshape([dims[0], groups, dims[1] / groups, positions]);
    dims[1] = groups;
    grouped.sum_dim(2).reshape(dims)
}

/// The one feature of each of `groups` groups so many times; as it is if it fits all features anyway.
fn repeat_groups<const D: usize>(values: Tensor<D>, groups: usize, times: usize) -> Tensor<D> {
    if groups == 1 {
        return values;
    }
    let mut dims = values.dims();
    let positions: usize = dims[2..].iter().product();
    let grouped = values.reshape([dims[0], groups, 1, positions]);
    let repeated = expanded(grouped, [dims[0], groups, times, positions]);
    dims[1] = groups * times;
    repeated.reshape(dims)
}

/// `op(x, M, m) + op(x ∘ r, ΔW, Δb) ∘ s` with signs r and s of each row's own.
fn flipout<const I: usize, const W: usize, const O: usize>(
    features: Features,
    input: Tensor<I>,
    weight: &Param<Tensor<W>>,
    bias: Option<&Param<Tensor<1>>>,
    op: impl Fn(Tensor<I>, Tensor<W>, Option<Tensor<1>>) -> Tensor<O>,
) -> Tensor<O> {
    let weight = match WeightReading::with_perturbation(weight) {
        WeightReading::Value(weight) => return op(input, weight, bias.map(Param::val)),
        WeightReading::Split(weight) => weight,
    };
    let (bias_mean, bias_delta) = parts(bias.map(WeightReading::with_perturbation));
    let input_signs = weight.signs(features.signs(&input.shape()), &input);
    let mean = op(input.clone(), weight.mean.clone(), bias_mean);
    let output_signs = weight.signs(features.signs(&mean.shape()), &mean);
    let perturbation = op(input * input_signs, weight.part, bias_delta);
    mean + perturbation * output_signs
}

/// The mean of a bias, and what it varies by.
fn parts(bias: Option<WeightReading<1>>) -> (Option<Tensor<1>>, Option<Tensor<1>>) {
    match bias {
        None => (None, None),
        Some(WeightReading::Value(bias)) => (Some(bias), None),
        Some(WeightReading::Split(bias)) => (Some(bias.mean), Some(bias.part)),
    }
}
