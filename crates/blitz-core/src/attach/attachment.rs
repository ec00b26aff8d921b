//! What is attached to a weight, whatever its types: away from the parameter, with the parameter's location.

use std::any::Any;
use std::collections::HashMap;

use burn::module::{Module, ModuleVisitor, Param, ParamId, Reparameterizer};
use burn::tensor::{Shape, Tensor};

use super::variational::Variational;
use super::walk::is_quantized;
use crate::draw::{self, Draw};
use crate::family::posterior::{Posterior, PosteriorStructure};
use crate::family::prior::{Prior, PriorForm};
use crate::family::{at_least_f32, in_type_of, unpacked};
use crate::kl::{KlTerm, SharedScale};

/// A posterior away from its parameter, with its prior and the parameter's location.
pub(crate) trait Attachment {
    /// Its identity: that of the weight in a draw.
    fn id(&self) -> ParamId;

    /// The shape of the weight.
    fn shape(&self) -> Shape;

    /// Whether the weight is sampled.
    fn is_sampling(&self) -> bool;

    /// Whether it is distributed symmetrically about its mean.
    fn is_symmetric(&self) -> bool;

    /// What is known of its joint distribution.
    fn structure(&self) -> PosteriorStructure;

    /// The weight of the innermost draw, or its mean where its sampling is frozen; flat, with its gradient.
    fn weight(&self) -> Tensor<1>;

    /// Its KL, with its part in a scale that several tensors share.
    fn kl(&self) -> (KlTerm, Option<SharedScale>);

    /// Its KL, if it is estimated at the weight of the innermost draw.
    fn sampled_kl(&self) -> Option<KlTerm>;

    /// The means of the weights; flat, without a gradient.
    fn mean(&self) -> Tensor<1>;

    /// The deviations that the posterior itself has, pruned weights included; flat, without a gradient.
    fn std_dev(&self) -> Tensor<1>;

    /// 1 for each weight that is kept and 0 for each that is pruned, flat; `None` if none ever was.
    fn mask(&self) -> Option<Tensor<1>>;

    /// Reads the weights where `mask` is 0 as zero from now on.
    fn set_mask(&mut self, mask: Tensor<1>);

    /// The row that the model never reads.
    fn unused_row(&self) -> Option<usize>;

    /// The posterior itself, of whatever type.
    fn posterior(&self) -> &dyn Any;

    /// What is known of the prior.
    fn prior_form(&self) -> PriorForm;

    /// The same, with its posterior as its prior; `None` if the family can't be one.
    fn under_itself(&self) -> Option<Box<dyn Attachment>>;

    /// The same, with every deviation of its posterior `factor` times as large; `None` if the family does not say how.
    fn scaled(&self, factor: f64) -> Option<Box<dyn Attachment>>;

    /// Attaches a copy to a `Param<Tensor<D>>` of the rank that it was taken from.
    fn attach(&self, param: Box<dyn Any>) -> Box<dyn Any>;
}

/// A copy of the attachment on a parameter of the rank that it was taken from.
pub(super) fn attach_copy<const D: usize>(
    attachment: &dyn Attachment,
    param: Param<Tensor<D>>,
) -> Param<Tensor<D>> {
    match attachment.attach(Box::new(param)).downcast() {
        Ok(param) => *param,
        Err(_) => unreachable!("a weight keeps its rank"),
    }
}

/// Everything that is attached to the weights of `module`, in the order of the traversal, each once.
///
/// No weight is computed: a LoRA adapter that holds posteriors is entered and not merged, which would cost a dense
/// matrix for each.
pub(crate) fn attachments<M: Module>(module: &M) -> Vec<Box<dyn Attachment>> {
    let scope = Draw::survey();
    module.visit(&mut Surveyor);
    let mut attachments: Vec<Box<dyn Attachment>> = Vec::new();
    for surveyed in scope.finish_survey() {
        let Ok(attachment) = surveyed.downcast::<Box<dyn Attachment>>() else {
            unreachable!("only attachments are handed over")
        };
        // A weight that is tied is met once for each place where it stands.
        if attachments.iter().all(|met| met.id() != attachment.id()) {
            attachments.push(*attachment);
        }
    }
    attachments
}

/// Meets the parameters: what is attached to one is visited right after it, and finds it in the survey.
struct Surveyor;

impl ModuleVisitor for Surveyor {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        // As it is, so that one that is not initialized stays so.
        draw::meet(Box::new(param.clone()));
    }
}

/// The rows that the model never reads, by the identities of the posteriors.
pub(super) fn unused_rows<M: Module>(module: &M) -> HashMap<ParamId, usize> {
    let attachments = attachments(module).into_iter();
    attachments
        .filter_map(|attachment| Some((attachment.id(), attachment.unused_row()?)))
        .collect()
}

/// Takes everything off: what is left is a deterministic module of the stored locations μ. Other reparameterizations
/// are merged into their weights.
pub(super) fn take_off<M: Module>(module: M) -> (M, Vec<Box<dyn Attachment>>) {
    let attachments = attachments(&module);
    (locations(module), attachments)
}

/// The module of the stored locations μ, whatever the families make of them. Other reparameterizations are merged into
/// their weights. For the crates of blitz.
pub fn locations<M: Module>(module: M) -> M {
    let _survey = Draw::survey();
    module.materialize()
}

/// The answer of a Bayesian parameter to a survey, which has met `param`.
pub(super) fn hand_over<Q: Posterior, P: Prior>(variational: &Variational<Q, P>, param: &dyn Any) {
    macro_rules! of_rank {
        ($($rank:literal)*) => {
            $(if let Some(param) = param.downcast_ref::<Param<Tensor<$rank>>>() {
                let attachment: Box<dyn Attachment> = Box::new(WithMean {
                    variational: variational.clone(),
                    mu: unpacked(param.base()),
                });
                draw::hand_over(Box::new(attachment));
            })*
        };
    }
    // All that Burn attaches something to.
    of_rank!(0 1 2 3 4 5 6 7 8);
}

/// A `Variational` and the mean that it is attached to.
struct WithMean<Q: Posterior, P: Prior, const D: usize> {
    variational: Variational<Q, P>,
    mu: Tensor<D>,
}

impl<Q: Posterior, P: Prior, const D: usize> Attachment for WithMean<Q, P, D> {
    fn id(&self) -> ParamId {
        self.variational.id()
    }

    fn shape(&self) -> Shape {
        self.mu.shape()
    }

    fn is_sampling(&self) -> bool {
        self.variational.is_sampling()
    }

    fn is_symmetric(&self) -> bool {
        self.variational.posterior.is_symmetric()
    }

    fn structure(&self) -> PosteriorStructure {
        self.variational.posterior.structure()
    }

    fn weight(&self) -> Tensor<1> {
        let weight = match self.is_sampling() {
            true => self.variational.weight(&self.mu),
            false => self.variational.mean(self.mu.clone()),
        };
        flat(weight)
    }

    fn kl(&self) -> (KlTerm, Option<SharedScale>) {
        self.variational.kl(&self.mu)
    }

    fn sampled_kl(&self) -> Option<KlTerm> {
        self.variational.sampled_kl(&self.mu)
    }

    fn mean(&self) -> Tensor<1> {
        flat(self.variational.mean(self.mu.clone())).detach()
    }

    fn std_dev(&self) -> Tensor<1> {
        let mu = at_least_f32(self.mu.clone());
        flat(self.variational.posterior.std_dev(mu)).detach()
    }

    fn mask(&self) -> Option<Tensor<1>> {
        self.variational.mask()
    }

    fn set_mask(&mut self, mask: Tensor<1>) {
        self.variational.set_mask(mask);
    }

    fn unused_row(&self) -> Option<usize> {
        self.variational.unused_row
    }

    fn posterior(&self) -> &dyn Any {
        &self.variational.posterior
    }

    fn prior_form(&self) -> PriorForm {
        self.variational.prior.form()
    }

    fn under_itself(&self) -> Option<Box<dyn Attachment>> {
        let variational = self.variational.under_itself(self.mu.clone())?;
        let mu = self.mu.clone();
        Some(Box::new(WithMean { variational, mu }))
    }

    fn scaled(&self, factor: f64) -> Option<Box<dyn Attachment>> {
        let variational = self.variational.scaled(factor)?;
        let mu = self.mu.clone();
        Some(Box::new(WithMean { variational, mu }))
    }

    fn attach(&self, param: Box<dyn Any>) -> Box<dyn Any> {
        let Ok(param) = param.downcast::<Param<Tensor<D>>>() else {
            unreachable!("a weight keeps its rank")
        };
        // A posterior has no location of few bits: it is drawn about and trained.
        let param = match is_quantized(&param) {
            true => param.map(|packed| {
                let mu = in_type_of(packed, &self.mu).detach();
                mu.set_require_grad(self.mu.is_require_grad())
            }),
            false => *param,
        };
        // A parameter by itself has the empty path.
        let by_path = HashMap::from([(String::new(), self.variational.clone())]);
        Box::new(attach_at(param, by_path))
    }
}

/// Attaches these to the parameters at their paths.
pub(super) fn attach_at<M: Module, Q: Posterior, P: Prior>(
    module: M,
    by_path: HashMap<String, Variational<Q, P>>,
) -> M {
    module.apply_reparameterization(Attach(by_path))
}

struct Attach<R>(HashMap<String, R>);

impl<Q: Posterior, P: Prior> Reparameterizer for Attach<Variational<Q, P>> {
    type Reparam = Variational<Q, P>;

    fn reparameterize<const D: usize>(
        &mut self,
        path: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<Self::Reparam>) {
        let attachment = self.0.remove(path);
        (param, attachment)
    }
}

fn flat<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let elements = tensor.shape().num_elements();
    tensor.reshape([elements])
}
