//! How a Bayesian layer estimates its output under the posterior.

use blitz_core::{PosteriorStructure, WeightReading};
use burn::config::Config;
use burn::module::Param;
use burn::tensor::{Shape, Tensor};

/// The estimator of a layer's output: the same mean and the same variance for each row, with different noise between
/// the rows of a batch, and different cost.
///
/// | | rows share their weights | posteriors | products | noise |
/// |---|---|---|---|---|
/// | shared weights | yes | all | 1 | one normal a weight |
/// | local reparameterization | no | independent normals | 2 | one normal an output |
/// | flipout | no | sign-symmetric ones | 2 | one normal a weight, one bit an input and an output |
///
/// A layer refuses at its initialization a posterior that its estimator is wrong for. A layer whose posterior is exchanged later, or whose
/// public `estimator` is set by hand, reads the weights of its draw instead. So does every layer in the mean mode and with its
/// sampling frozen, when there is nothing to estimate.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Estimator {
    /// One sample of the weights per draw, shared by the whole batch (Blundell et al. 2015).
    ///
    /// Works for every posterior. The rows of a batch share their noise, so the variance of the gradient doesn't
    /// fall with the batch size.
    SharedWeights,
    /// Samples the layer's output instead of its weights, independently for each row (Kingma, Salimans & Welling,
    /// *Variational dropout and the local reparameterization trick*, 2015).
    ///
    /// For [independent normals](PosteriorStructure::IndependentNormal). In a convolution the positions of one row are sampled
    /// independently as well: each has the right mean and variance, their correlation is lost.
    /// Its rows don't belong to one joint sample of the weights: use it to train, and note that a draw's network
    /// ([`sample_network`](blitz_core::BayesianModule::sample_network)) is not what it computed with.
    LocalReparameterization,
    /// Flips the signs of the draw's perturbation at random for each row (Wen, Vicol, Ba, Tran & Grosse, *Flipout:
    /// efficient pseudo-independent weight perturbations on mini-batches*, 2018): the rows are uncorrelated, and the
    /// positions of one row share their weights, as they should in a convolution and a recurrent layer.
    ///
    /// For independent normals and other posteriors [symmetric in each weight's sign](PosteriorStructure::SignSymmetric)
    /// around the mean. A row's weights are a sample of the posterior, but not the draw's own.
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

/// Where a layer's tensors keep their features, and so what a *row* is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Features {
    /// On the last axis; everything before it counts rows.
    Last,
    /// On axis 1, after the rows; the axes after it are positions, at which the row's weights are the same.
    Second,
}

impl Features {
    /// The shape of one sign for each row and feature.
    fn signs(self, shape: &Shape) -> Shape {
        let mut dims = shape.as_slice().to_vec();
        if self == Self::Second {
            dims[2..].fill(1);
        }
        Shape::from(dims)
    }
}

/// The output `op(input, w, b)` of a layer that is linear in its weight and bias, as `estimator` samples it.
pub(crate) fn estimate<const I: usize, const W: usize, const O: usize>(
    estimator: Estimator,
    features: Features,
    input: Tensor<I>,
    weight: &Param<Tensor<W>>,
    bias: Option<&Param<Tensor<1>>>,
    op: impl Fn(Tensor<I>, Tensor<W>, Option<Tensor<1>>) -> Tensor<O>,
) -> Tensor<O> {
    match estimator {
        Estimator::SharedWeights => op(input, weight.val(), bias.map(Param::val)),
        Estimator::LocalReparameterization => local(input, weight, bias, op),
        Estimator::Flipout => flipout(features, input, weight, bias, op),
    }
}

/// `N(op(x, M, m), op(x², S², s²))`, elementwise.
fn local<const I: usize, const W: usize, const O: usize>(
    input: Tensor<I>,
    weight: &Param<Tensor<W>>,
    bias: Option<&Param<Tensor<1>>>,
    op: impl Fn(Tensor<I>, Tensor<W>, Option<Tensor<1>>) -> Tensor<O>,
) -> Tensor<O> {
    let weight = match WeightReading::with_variance(weight) {
        WeightReading::Value(weight) => return op(input, weight, bias.map(Param::val)),
        WeightReading::Split(weight) => weight,
    };
    let (bias_mean, bias_variance) = parts(bias.map(WeightReading::with_variance));
    let variance = op(input.clone().square(), weight.part.clone(), bias_variance);
    let mean = op(input, weight.mean.clone(), bias_mean);
    weight.draw_output(mean, variance)
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
