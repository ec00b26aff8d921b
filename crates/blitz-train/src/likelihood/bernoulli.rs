//! Binary targets.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::activation::{log_sigmoid, sigmoid};
use burn::tensor::{Int, Tensor, TensorData};

use super::check::{check_labels, check_outputs, check_shapes};
use super::evaluation::to_f64;
use super::loss_type::LossType;
use super::special::expected_softplus;
use super::{ClassificationEvaluation, ExpectedNll, Likelihood, param};
use crate::error::{PredictError, TargetError};
use blitz_layers::blitz_core::{ConstantError, Constants};
use blitz_layers::moments::Moments;
use blitz_predict::Mixture;
use blitz_predict::distribution::Bernoulli;

/// Configuration of a [`BernoulliLikelihood`].
///
/// | field | default | meaning |
/// |---|---|---|
/// | `targets` | 1 | the number of target columns, each with an answer of its own |
/// | `positive_weights` | none | for each column, what the log likelihood of a 1 is multiplied by in training |
#[derive(Config, Debug, PartialEq)]
pub struct BernoulliLikelihoodConfig {
    /// The number of target columns.
    #[config(default = 1)]
    pub targets: usize,
    /// How much a target of 1 counts in training, for each column.
    pub positive_weights: Option<Vec<f64>>,
}

impl BernoulliLikelihoodConfig {
    /// The likelihood. It has no parameters, so it needs no device.
    ///
    /// # Panics
    ///
    /// Panics without target columns, or unless there is a positive, finite weight for each.
    pub fn init(&self) -> BernoulliLikelihood {
        let targets = self.targets;
        assert!(targets > 0, "a likelihood needs target columns, got 0");
        if let Some(weights) = &self.positive_weights {
            let are_good = weights.iter().all(|w| *w > 0.0 && w.is_finite());
            assert!(
                weights.len() == targets && are_good,
                "{targets} target columns need as many positive, finite weights, got {weights:?}"
            );
        }
        BernoulliLikelihood {
            targets,
            positive_weights: self.positive_weights.clone(),
        }
    }
}

/// `p(y | f) = Π_k σ(f_k)^{y_k} σ(−f_k)^{1 − y_k}`: the network's output holds the logit of each target's being 1.
///
/// With positive weights v, training sees `−v_k ln σ(f_k)` of a target of 1, as PyTorch's
/// `BCEWithLogitsLoss(pos_weight=..)` does: data in which each 1 stands v_k times. Probabilities then are those of such
/// data. The weights belong to the training, and are not in a record. The loss on the dashboard is weighted; NLL, Brier
/// score and calibration error are those of the targets as they are.
///
/// ```
/// use blitz_train::{BernoulliLikelihoodConfig, Likelihood};
/// use burn::tensor::{Device, Int, Tensor};
///
/// let device = Device::flex();
/// let likelihood = BernoulliLikelihoodConfig::new().init();
/// let logits = Tensor::<2>::from_floats([[3f32.ln()]], &device);
/// let nll = likelihood.nll(logits, Tensor::<2, Int>::from_ints([[1]], &device)).into_scalar::<f32>();
/// assert!((nll + 0.75f32.ln()).abs() < 1e-6);
/// ```
#[derive(Module, Debug)]
pub struct BernoulliLikelihood {
    /// The number of target columns.
    pub targets: usize,
    /// How much a target of 1 counts in training, for each column.
    #[module(skip)]
    pub positive_weights: Option<Vec<f64>>,
}

impl BernoulliLikelihood {
    /// The loss of targets whose probability has the logarithm that `log_p` makes of a sign, 1 of a target of 1 and
    /// else −1: one logarithm of a sigmoid, of ±f, for both, since ln(1 − σ) would lose its digits.
    fn of_log_p(
        &self,
        loss: LossType,
        output: [usize; 2],
        target: Tensor<2, Int>,
        log_p: impl FnOnce(Tensor<2>) -> Tensor<2>,
    ) -> Tensor<1> {
        let targets = self.targets;
        check_shapes("Bernoulli", targets, targets, output, target.dims());
        let bad = target
            .clone()
            .lower_elem(0)
            .bool_or(target.clone().greater_elem(1));
        let target = loss.cast(target.float());
        let mut log_p = log_p(target.clone().mul_scalar(2.0) - 1.0);
        if let Some(weights) = &self.positive_weights {
            let options = (&log_p.device(), log_p.dtype());
            let more: Vec<f64> = weights.iter().map(|weight| weight - 1.0).collect();
            let more = Tensor::<2>::from_data(TensorData::new(more, [1, targets]), options);
            log_p = log_p * (target * more + 1.0);
        }
        log_p
            .neg()
            .mask_fill(bad, f32::NAN)
            .sum_dim(1)
            .squeeze_dim(1)
    }
}

impl Likelihood for BernoulliLikelihood {
    type Output = Tensor<2>;
    type Target = Tensor<2, Int>;
    type Evaluation = ClassificationEvaluation;
    type Predictive = Mixture<Bernoulli>;

    /// # Panics
    ///
    /// Panics unless `output` and `target` have the shape `[batch, targets]`.
    fn nll(&self, output: Tensor<2>, target: Tensor<2, Int>) -> Tensor<1> {
        let (loss, output) = LossType::of_output(output);
        self.of_log_p(loss, output.dims(), target, |sign| {
            log_sigmoid(output * sign)
        })
    }

    /// Of several target columns each answer counts as one.
    fn evaluate(
        &self,
        outputs: Vec<Tensor<2>>,
        target: Tensor<2, Int>,
    ) -> ClassificationEvaluation {
        // Off the graph first: no metric is differentiated.
        let draws = outputs.len() as f64;
        let sum = outputs
            .into_iter()
            .map(|output| sigmoid(LossType::of_output(output.without_autodiff()).1))
            .reduce(|sum, draw| sum + draw);
        let Some(sum) = sum else {
            panic!("an evaluation needs at least one draw, got 0");
        };
        let answers = target.dims()[0] * self.targets;
        let ones = (sum / draws).reshape([answers, 1]);
        ClassificationEvaluation {
            probabilities: Tensor::cat(vec![ones.clone().neg() + 1.0, ones], 1),
            target: target.reshape([answers]),
        }
    }

    fn try_predictive(&self, outputs: Vec<Tensor<2>>) -> Result<Mixture<Bernoulli>, PredictError> {
        check_outputs("Bernoulli", self.targets, &outputs)?;
        let draw = |output| {
            let logits = to_f64(output).into_iter();
            logits.map(|logit| Bernoulli { logit }).collect()
        };
        Ok(Mixture::try_from_draws(
            outputs.into_iter().map(draw),
            self.targets,
        )?)
    }

    fn predictive_likelihood(&self) -> Option<Self> {
        self.positive_weights.as_ref().map(|_| Self {
            targets: self.targets,
            positive_weights: None,
        })
    }

    fn constants(&self) -> Option<Constants> {
        Some(Constants::new("Bernoulli", [self.targets as f64]))
    }

    fn set_constants(&mut self, values: &[f64]) -> Result<(), ConstantError> {
        let name = "number of target columns";
        let targets = param::count(name, values[0], 1)?;
        let weighted = self.positive_weights.as_ref().map_or(targets, Vec::len);
        ConstantError::unless(weighted == targets, name, values[0], "that of the weights")?;
        self.targets = targets;
        Ok(())
    }

    fn check_target(&self, target: &Tensor<2, Int>) -> Result<(), TargetError> {
        check_labels(target, self.targets, "0 or 1", |y| y == 0.0 || y == 1.0)
    }
}

impl ExpectedNll for BernoulliLikelihood {
    fn expected_nll(&self, output: Moments<2>, target: Tensor<2, Int>) -> Tensor<1> {
        let loss = LossType::of(&output.mean);
        let output = output.arranged(|t: Tensor<2>| loss.cast(t));
        self.of_log_p(loss, output.dims(), target, |sign| {
            let against = Moments {
                mean: output.mean * sign.neg(),
                variance: output.variance,
            };
            expected_softplus(against).neg()
        })
    }
}
