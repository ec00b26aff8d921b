//! Likelihoods whose curvature by the outputs of a network is known.

use blitz_predict::distribution::softmax::softmax;

use super::super::error::LaplaceError;
use crate::likelihood::{
    BernoulliLikelihood, CategoricalLikelihood, GaussianLikelihood, Likelihood, PoissonLikelihood,
};

/// A likelihood with a known Hessian of `−ln p(y | f)` by the outputs f, one that does not depend on y: the middle of
/// the generalised Gauss–Newton matrix.
///
/// Implement it for a likelihood of your own with outputs of two axes.
pub trait GaussNewton: Likelihood<Output = burn::tensor::Tensor<2>> {
    /// Vectors r with `Σ r rᵀ` the Hessian at one example's outputs. Each costs a pass forward and back.
    fn hessian_roots(&self, outputs: &[f64]) -> Vec<Vec<f64>>;

    /// Whether these are outputs and targets of a single example.
    ///
    /// # Errors
    ///
    /// [`LaplaceError::Shape`] if not.
    fn check_shapes(&self, _outputs: usize, _target: &Self::Target) -> Result<(), LaplaceError> {
        Ok(())
    }

    /// Why there is no such Hessian with these settings.
    fn refusal(&self) -> Option<&'static str> {
        None
    }
}

/// So many outputs and targets of one example.
fn check(
    columns: usize,
    outputs: usize,
    [examples, targets]: [usize; 2],
) -> Result<(), LaplaceError> {
    let sizes = [
        ("the number of outputs", columns, outputs),
        ("the number of examples", 1, examples),
        ("the number of target columns", columns, targets),
    ];
    match sizes.into_iter().find(|(_, expected, got)| expected != got) {
        None => Ok(()),
        Some((what, expected, got)) => Err(LaplaceError::Shape {
            what,
            expected,
            got,
        }),
    }
}

/// A root along each output.
fn along_outputs(roots: impl ExactSizeIterator<Item = f64>) -> Vec<Vec<f64>> {
    let outputs = roots.len();
    let along = |(output, root)| {
        let mut r = vec![0.0; outputs];
        r[output] = root;
        r
    };
    roots.enumerate().map(along).collect()
}

impl GaussNewton for GaussianLikelihood {
    fn hessian_roots(&self, _outputs: &[f64]) -> Vec<Vec<f64>> {
        along_outputs(self.noise_std().into_iter().map(f64::recip))
    }

    fn check_shapes(&self, outputs: usize, target: &Self::Target) -> Result<(), LaplaceError> {
        check(self.log_std.shape().num_elements(), outputs, target.dims())
    }
}

impl GaussNewton for BernoulliLikelihood {
    fn hessian_roots(&self, outputs: &[f64]) -> Vec<Vec<f64>> {
        // √(σ(f) σ(−f)), whose factors keep their digits.
        let root = |f: &f64| ((1.0 + (-f).exp()) * (1.0 + f.exp())).sqrt().recip();
        along_outputs(outputs.iter().map(root))
    }

    fn refusal(&self) -> Option<&'static str> {
        let weighs = self.positive_weights.is_some();
        weighs.then_some("its positive weights make the curvature depend on the targets")
    }

    fn check_shapes(&self, outputs: usize, target: &Self::Target) -> Result<(), LaplaceError> {
        check(self.targets, outputs, target.dims())
    }
}

impl GaussNewton for CategoricalLikelihood {
    fn hessian_roots(&self, outputs: &[f64]) -> Vec<Vec<f64>> {
        // diag p − p pᵀ = Σ pₖ (eₖ − p)(eₖ − p)ᵀ
        let p = softmax(outputs.to_vec(), outputs.len());
        let root = |class: usize| {
            let less = p.iter().enumerate().map(|(k, p)| match k == class {
                true => 1.0 - p,
                false => -p,
            });
            less.map(|r| r * p[class].sqrt()).collect()
        };
        (0..p.len()).map(root).collect()
    }

    fn refusal(&self) -> Option<&'static str> {
        let weighs = self.class_weights.is_some();
        weighs.then_some("its class weights make the curvature depend on the labels")
    }

    fn check_shapes(&self, outputs: usize, target: &Self::Target) -> Result<(), LaplaceError> {
        check(self.classes, outputs, [target.dims()[0], self.classes])
    }
}

impl GaussNewton for PoissonLikelihood {
    fn hessian_roots(&self, outputs: &[f64]) -> Vec<Vec<f64>> {
        along_outputs(outputs.iter().map(|f| (0.5 * f).exp()))
    }

    fn check_shapes(&self, outputs: usize, target: &Self::Target) -> Result<(), LaplaceError> {
        check(self.targets, outputs, target.dims())
    }
}
