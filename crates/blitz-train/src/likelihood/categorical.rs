//! Class labels.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Int, Tensor, TensorData};

use super::check::{check_labels, check_outputs};
use super::evaluation::to_f64;
use super::loss_type::LossType;
use super::{Evaluation, ExpectedNll, Likelihood, param};
use crate::error::{PredictError, TargetError};
use blitz_layers::blitz_core::{ConstantError, Constants};
use blitz_layers::moments::Moments;
use blitz_predict::CategoricalMixture;

/// Configuration of a [`CategoricalLikelihood`].
///
/// | field | default | meaning |
/// |---|---|---|
/// | `classes` | | the number of classes |
/// | `label_smoothing` | 0 | the share ε of every label that is spread over all classes, in [0, 1) |
/// | `class_weights` | none | what the log likelihood of an example of each class is multiplied by in training |
#[derive(Config, Debug, PartialEq)]
pub struct CategoricalLikelihoodConfig {
    /// The number of classes.
    pub classes: usize,
    /// The share of every label that is spread evenly over all classes.
    #[config(default = 0.0)]
    pub label_smoothing: f64,
    /// How much an example of each class counts in training.
    pub class_weights: Option<Vec<f64>>,
}

impl CategoricalLikelihoodConfig {
    /// The likelihood.
    ///
    /// # Panics
    ///
    /// Panics with fewer than two classes, if the smoothing lies outside [0, 1), or unless there is a positive, finite
    /// weight for each class.
    pub fn init(&self) -> CategoricalLikelihood {
        assert!(
            self.classes >= 2,
            "a categorical likelihood needs at least two classes, got {}",
            self.classes
        );
        assert!(
            (0.0..1.0).contains(&self.label_smoothing),
            "label smoothing must lie in [0, 1), got {}",
            self.label_smoothing
        );
        if let Some(weights) = &self.class_weights {
            let classes = self.classes;
            assert!(
                weights.len() == classes,
                "{classes} classes need as many class weights, got {}",
                weights.len()
            );
            for (class, weight) in weights.iter().enumerate() {
                assert!(
                    *weight > 0.0 && weight.is_finite(),
                    "class weights must be positive and finite, got {weight} for class {class}"
                );
            }
        }
        CategoricalLikelihood {
            classes: self.classes,
            label_smoothing: self.label_smoothing,
            class_weights: self.class_weights.clone(),
        }
    }

    /// Weights that let every class count alike in a data set with so many examples of each: N / (K n_k), which average
    /// to 1 over the examples.
    ///
    /// ```
    /// use blitz_train::CategoricalLikelihoodConfig;
    ///
    /// let config = CategoricalLikelihoodConfig::new(2).with_balanced_classes(&[90, 10]);
    /// let weights = config.class_weights.unwrap();
    /// assert!((weights[0] - 100.0 / 180.0).abs() < 1e-12);
    /// assert!((weights[1] - 5.0).abs() < 1e-12);
    /// ```
    ///
    /// # Panics
    ///
    /// Panics unless there is a number above zero for each class.
    #[must_use]
    pub fn with_balanced_classes(self, examples: &[usize]) -> Self {
        assert!(
            examples.len() == self.classes && examples.iter().all(|n| *n > 0),
            "{} classes need as many numbers of examples, each above 0, got {examples:?}",
            self.classes
        );
        let share = examples.iter().sum::<usize>() as f64 / self.classes as f64;
        let weights = examples.iter().map(|n| share / *n as f64).collect();
        self.with_class_weights(Some(weights))
    }
}

/// `p(y | f) = softmax(f)_y`: the network's output holds the logits of the classes.
///
/// With label smoothing ε (Szegedy et al. 2016) training sees `−Σ_k [(1 − ε) 1(k = y) + ε/K] ln p_k`, a cross-entropy
/// to softened labels and no longer a likelihood of the labels; predictions are as without it.
///
/// With class weights v it sees `−v_y ln p_y`, or with both `−(1 − ε) v_y ln p_y − ε/K Σ_k v_k ln p_k`, as PyTorch's
/// cross-entropy does before it averages. That is the likelihood of data in which an example of class k stands v_k
/// times: probabilities then are those of such data, and not of the data as they are. Weights of an average of 1 over
/// the examples leave the balance with the KL as it is
/// ([`with_balanced_classes`](CategoricalLikelihoodConfig::with_balanced_classes)). The weights belong to the training,
/// and are not in a record.
///
/// The loss on the dashboard is smoothed and weighted. NLL, Brier score and calibration error are those of the
/// predictions and of the labels as they are.
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
    /// The share ε of every label that is spread over all classes.
    pub label_smoothing: f64,
    /// How much an example of each class counts in training.
    #[module(skip)]
    pub class_weights: Option<Vec<f64>>,
}

impl CategoricalLikelihood {
    /// The log probabilities, each times the weight of its class.
    fn weighted(&self, log_p: Tensor<2>) -> Tensor<2> {
        let Some(weights) = &self.class_weights else {
            return log_p;
        };
        let options = (&log_p.device(), log_p.dtype());
        let weights = TensorData::new(weights.clone(), [1, self.classes]);
        log_p * Tensor::from_data(weights, options)
    }

    /// The loss of labels, given the logarithms of all probabilities.
    fn of_log_p(&self, log_p: Tensor<2>, target: Tensor<1, Int>) -> Tensor<1> {
        let last = self.classes as i64 - 1;
        let label: Tensor<2, Int> = target.unsqueeze_dim(1);
        let bad = label
            .clone()
            .lower_elem(0)
            .bool_or(label.clone().greater_elem(last));
        let log_p = self.weighted(log_p);
        // A label out of range would read another example's logit on some backends.
        let own = log_p.clone().gather(1, label.clamp(0, last));
        let smoothed = match self.label_smoothing {
            0.0 => own,
            smoothing => own.mul_scalar(1.0 - smoothing) + log_p.mean_dim(1).mul_scalar(smoothing),
        };
        smoothed.neg().mask_fill(bad, f32::NAN).squeeze_dim(1)
    }

    fn check(&self, output: &Tensor<2>, target: &Tensor<1, Int>) {
        let classes = self.classes;
        let (output, examples) = (output.dims(), target.dims()[0]);
        assert!(
            output == [examples, classes],
            "a categorical likelihood of {classes} classes needs logits of shape [batch, {classes}] and a label for \
             each, got {output:?} and {examples} labels"
        );
    }
}

impl Likelihood for CategoricalLikelihood {
    type Output = Tensor<2>;
    type Target = Tensor<1, Int>;
    type Evaluation = ClassificationEvaluation;
    type Predictive = CategoricalMixture;

    /// # Panics
    ///
    /// Panics unless `output` has the shape `[batch, classes]` and `target` holds a label for each example.
    fn nll(&self, output: Tensor<2>, target: Tensor<1, Int>) -> Tensor<1> {
        self.check(&output, &target);
        self.of_log_p(log_softmax(LossType::of_output(output).1, 1), target)
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
            .map(|output| softmax(LossType::of_output(output.without_autodiff()).1, 1))
            .reduce(|sum, draw| sum + draw);
        let Some(sum) = probabilities else {
            panic!("an evaluation needs at least one draw, got 0");
        };
        ClassificationEvaluation {
            probabilities: sum / draws,
            target,
        }
    }

    fn try_predictive(&self, outputs: Vec<Tensor<2>>) -> Result<CategoricalMixture, PredictError> {
        check_outputs("categorical", self.classes, &outputs)?;
        Ok(CategoricalMixture::try_from_logits(
            outputs.into_iter().map(to_f64),
            self.classes,
        )?)
    }

    fn predictive_likelihood(&self) -> Option<Self> {
        let is_another = self.label_smoothing > 0.0 || self.class_weights.is_some();
        is_another.then_some(Self {
            classes: self.classes,
            label_smoothing: 0.0,
            class_weights: None,
        })
    }

    fn constants(&self) -> Option<Constants> {
        Some(Constants::new(
            "Categorical",
            [self.classes as f64, self.label_smoothing],
        ))
    }

    fn set_constants(&mut self, values: &[f64]) -> Result<(), ConstantError> {
        let (classes, smoothing) = (values[0], values[1]);
        let classes = param::count("number of classes", classes, 2)?;
        let in_range = (0.0..1.0).contains(&smoothing);
        ConstantError::unless(in_range, "label smoothing", smoothing, "in [0, 1)")?;
        let weighted = self.class_weights.as_ref().map_or(classes, Vec::len);
        let name = "number of classes";
        ConstantError::unless(
            weighted == classes,
            name,
            values[0],
            "that of the class weights",
        )?;
        (self.classes, self.label_smoothing) = (classes, smoothing);
        Ok(())
    }

    fn check_target(&self, target: &Tensor<1, Int>) -> Result<(), TargetError> {
        let needs = format!("a class from 0 to {}", self.classes - 1);
        check_labels(target, 1, &needs, |label| {
            (0.0..self.classes as f64).contains(&label)
        })
    }
}

/// An upper bound, by Jensen's inequality (Blei & Lafferty, *A correlated topic model of Science*, 2007).
impl ExpectedNll for CategoricalLikelihood {
    fn expected_nll(&self, output: Moments<2>, target: Tensor<1, Int>) -> Tensor<1> {
        self.check(&output.mean, &target);
        let loss = LossType::of(&output.mean);
        let half = loss.cast(output.variance()).mul_scalar(0.5);
        // m − ln Σ exp(m + v/2): the softmax of what is raised, less what it was raised by.
        let log_p = log_softmax(loss.cast(output.mean) + half.clone(), 1) - half;
        self.of_log_p(log_p, target)
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
