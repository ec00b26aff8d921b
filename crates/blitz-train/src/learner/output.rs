//! What a step hands to Burn's metrics.

use blitz_layers::blitz_core::at_least_f32;
use burn::tensor::{ExecutionError, Tensor};
use burn::train::ItemLazy;
use burn::train::metric::{AccuracyInput, Adaptor, LossInput};

use crate::elbo::ElboLoss;
use crate::likelihood::{
    ClassificationEvaluation, Evaluation, PointEvaluation, RegressionEvaluation,
};
use crate::metric::{
    ClassProbabilitiesInput, CoverageInput, KlInput, LayerKlInput, NllInput, PredictiveInput,
    RmseInput,
};

/// The loss of a batch, its parts, and what the likelihood's own metrics need.
#[derive(Debug, Clone)]
pub struct ElboOutput<E> {
    /// The negative evidence lower bound per example, of shape `[1]`.
    pub loss: Tensor<1>,
    /// The negative log likelihood per example as the training sees it, averaged over the draws, of shape `[1]`.
    pub nll: Tensor<1>,
    /// The KL of the whole model, of shape `[1]`.
    pub kl: Tensor<1>,
    /// The KL of each weight tensor by its path, each of shape `[1]`; where it is estimated, that of the first draw.
    pub kl_terms: Vec<(String, Tensor<1>)>,
    /// `−ln 1/S Σ_s p(y | x, w_s)` of each example: the score of the predictive distribution, of shape `[batch]`.
    /// Weights and label smoothing, which belong to the training, are [not in
    /// it](crate::Likelihood::predictive_likelihood).
    pub predictive_nll: Tensor<1>,
    /// What the likelihood's metrics need.
    pub evaluation: E,
}

impl<E> ElboOutput<E> {
    /// The number of examples.
    pub fn examples(&self) -> usize {
        self.predictive_nll.dims()[0]
    }
}

impl<E: Evaluation> ElboOutput<E> {
    pub(super) fn new(loss: ElboLoss, nlls: Vec<Tensor<1>>, evaluation: E) -> Self {
        let draws = nlls.len() as f64;
        let nlls: Tensor<2> = at_least_f32(Tensor::stack(nlls, 0));
        // The logarithm of a mean of exponentials, relative to the best draw so that none underflows.
        let best = nlls.clone().min_dim(0);
        let sum = (best.clone() - nlls).exp().sum_dim(0);
        let ratios = sum.mul_scalar(draws.recip());
        // Where every draw rules the target out, it is the best one's: there are no ratios of infinities.
        let is_infinite = best.clone().is_inf();
        let predictive_nll = (best.clone() - ratios.log()).mask_where(is_infinite, best);
        Self {
            loss: loss.loss,
            nll: loss.nll,
            kl: loss.kl,
            kl_terms: loss.kl_terms,
            predictive_nll: predictive_nll.squeeze_dim(0),
            evaluation,
        }
    }

    pub(super) fn without_autodiff(self) -> Self {
        Self {
            loss: self.loss.without_autodiff(),
            nll: self.nll.without_autodiff(),
            kl: self.kl.without_autodiff(),
            // They have no gradient from the start.
            kl_terms: self.kl_terms,
            predictive_nll: self.predictive_nll.without_autodiff(),
            evaluation: self.evaluation.without_autodiff(),
        }
    }
}

impl<E: Evaluation> ItemLazy for ElboOutput<E> {
    fn sync(self) -> Result<Self, ExecutionError> {
        self.loss.device().flush()?;
        Ok(self.without_autodiff())
    }
}

impl<E> Adaptor<LossInput> for ElboOutput<E> {
    fn adapt(&self) -> LossInput {
        // Burn weighs a loss by the length of its tensor; the batch's own size weighs the last, smaller batch right.
        LossInput::new(self.loss.clone().expand([self.examples()]))
    }
}

impl<E> Adaptor<NllInput> for ElboOutput<E> {
    fn adapt(&self) -> NllInput {
        NllInput::new(self.predictive_nll.clone())
    }
}

impl<E> Adaptor<KlInput> for ElboOutput<E> {
    fn adapt(&self) -> KlInput {
        KlInput::new(self.kl.clone())
    }
}

impl<E> Adaptor<LayerKlInput> for ElboOutput<E> {
    fn adapt(&self) -> LayerKlInput {
        LayerKlInput::new(self.kl_terms.clone())
    }
}

impl Adaptor<RmseInput> for ElboOutput<RegressionEvaluation> {
    fn adapt(&self) -> RmseInput {
        RmseInput::new(self.evaluation.mean.clone(), self.evaluation.target.clone())
    }
}

impl Adaptor<CoverageInput> for ElboOutput<RegressionEvaluation> {
    fn adapt(&self) -> CoverageInput {
        CoverageInput::new(self.evaluation.cdf.clone())
    }
}

impl Adaptor<PredictiveInput> for ElboOutput<RegressionEvaluation> {
    fn adapt(&self) -> PredictiveInput {
        let evaluation = &self.evaluation;
        PredictiveInput::new(evaluation.predictive.clone(), evaluation.target.clone())
    }
}

impl Adaptor<AccuracyInput> for ElboOutput<ClassificationEvaluation> {
    fn adapt(&self) -> AccuracyInput {
        let evaluation = &self.evaluation;
        AccuracyInput::new(evaluation.probabilities.clone(), evaluation.target.clone())
    }
}

impl Adaptor<RmseInput> for ElboOutput<PointEvaluation> {
    fn adapt(&self) -> RmseInput {
        RmseInput::new(self.evaluation.mean.clone(), self.evaluation.target.clone())
    }
}

impl Adaptor<ClassProbabilitiesInput> for ElboOutput<ClassificationEvaluation> {
    fn adapt(&self) -> ClassProbabilitiesInput {
        let evaluation = &self.evaluation;
        ClassProbabilitiesInput::new(evaluation.probabilities.clone(), evaluation.target.clone())
    }
}
