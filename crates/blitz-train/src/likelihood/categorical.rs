//! Class labels.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Int, Tensor};

use super::gaussian::to_f64;
use super::{Evaluation, Likelihood};
use crate::predict::CategoricalMixture;

/// Configuration of a [`CategoricalLikelihood`].
///
/// | field | default | meaning |
/// |---|---|---|
/// | `classes` | | the number of classes |
#[derive(Config, Debug, PartialEq, Eq)]
pub struct CategoricalLikelihoodConfig {
    /// The number of classes.
    pub classes: usize,
}

impl CategoricalLikelihoodConfig {
    /// The likelihood.
    ///
    /// # Panics
    ///
    /// Panics with fewer than two classes.
    pub fn init(&self) -> CategoricalLikelihood {
        assert!(
            self.classes >= 2,
            "a categorical likelihood needs at least two classes, got {}",
            self.classes
        );
        CategoricalLikelihood {
            classes: self.classes,
        }
    }
}

/// `p(y | f) = softmax(f)_y`: the network's output holds the logits of the classes.
///
/// ```
/// use blitz_train::prelude::*;
/// use burn::tensor::{Device, Int, Tensor};
///
/// let device = Device::flex();
/// let likelihood = CategoricalLikelihoodConfig::new(2).init();
/// let logits = Tensor::<2>::from_floats([[0.0, 3f32.ln()]], &device);
/// let nll = likelihood.nll(logits, Tensor::<1, Int>::from_ints([1], &device)).into_scalar::<f32>();
/// assert!((nll + 0.75f32.ln()).abs() < 1e-6);
/// ```
#[derive(Module, Debug)]
pub struct CategoricalLikelihood {
    /// The number of classes.
    pub classes: usize,
}

impl CategoricalLikelihood {
    fn check(&self, output: &Tensor<2>, target: &Tensor<1, Int>) {
        let classes = self.classes;
        let (output, examples) = (output.dims(), target.dims()[0]);
        assert!(
            output == [examples, classes],
            "a categorical likelihood of {classes} classes needs logits of shape [batch, {classes}] and a label for \
             each, got {output:?} and {examples} labels"
        );
        // A label out of range would read another example's logit on some backends.
        let labels = target.to_data();
        for label in labels.iter::<i64>() {
            assert!(
                (0..classes as i64).contains(&label),
                "there is no class {label} among {classes}"
            );
        }
    }
}

impl Likelihood for CategoricalLikelihood {
    type Output = Tensor<2>;
    type Target = Tensor<1, Int>;
    type Evaluation = ClassificationEvaluation;
    type Predictive = CategoricalMixture;

    /// # Panics
    ///
    /// Panics unless `output` has the shape `[batch, classes]` and `target` holds a label below `classes` for each
    /// example.
    fn nll(&self, output: Tensor<2>, target: Tensor<1, Int>) -> Tensor<1> {
        self.check(&output, &target);
        let label = target.unsqueeze_dim(1);
        log_softmax(output, 1).gather(1, label).squeeze_dim(1).neg()
    }

    fn evaluate(
        &self,
        outputs: Vec<Tensor<2>>,
        target: Tensor<1, Int>,
    ) -> ClassificationEvaluation {
        // Off the graph first: no metric is differentiated.
        let draws = outputs.len() as f64;
        let probabilities = outputs
            .into_iter()
            .map(|output| softmax(output.without_autodiff(), 1))
            .reduce(|sum, draw| sum + draw);
        let Some(sum) = probabilities else {
            panic!("an evaluation needs at least one draw, got 0");
        };
        ClassificationEvaluation {
            probabilities: sum.div_scalar(draws),
            target,
        }
    }

    fn predictive(&self, outputs: Vec<Tensor<2>>) -> CategoricalMixture {
        CategoricalMixture::from_logits(outputs.into_iter().map(to_f64), self.classes)
    }
}

/// What the metrics of a classification are computed from.
#[derive(Debug, Clone)]
pub struct ClassificationEvaluation {
    /// The predictive probabilities, of shape `[batch, classes]`.
    pub probabilities: Tensor<2>,
    /// The labels, of shape `[batch]`.
    pub target: Tensor<1, Int>,
}

impl Evaluation for ClassificationEvaluation {
    fn without_autodiff(self) -> Self {
        Self {
            probabilities: self.probabilities.without_autodiff(),
            target: self.target,
        }
    }
}
