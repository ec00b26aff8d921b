//! The backward passes of a draw, its KL and their loss, which share one walk over the parameters; see [`KlLink`].

use burn::backend::TensorMetadata;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend};
use burn::tensor::DType;

use super::{KlLink, LinkedKernels, weighted_sum};
use crate::kernels::autodiff::register;
use crate::kernels::formula::{Map, NoiseSpan, NormalSum, Sum};

/// The KL's: of what the draw has not taken along.
#[derive(Debug)]
struct SumStep;

impl<B: LinkedKernels> Backward<B, 2> for SumStep {
    type State = ([NodeId; 2], NormalSum, KlLink);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let (inputs, form, link) = ops.state;
        let [mu, rho] = inputs.map(|input| checkpointer.retrieve_node_output(input));
        let grad = grads.consume::<B>(&ops.node);
        let zero = link.take_zero::<FloatTensor<B>>();
        let grad = match link.take::<FloatTensor<B>>() {
            Some(left) => B::float_add(grad, left),
            None if B::is_known_zero(&grad, zero.as_ref()) => return,
            None => grad,
        };
        let (mu_grad, rho_grad) = B::sum_backward(grad, mu, rho, Sum::Normal(form));
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        register::<B>(grads, parents, [mu_grad, rho_grad]);
    }
}

/// The draw's, with the KL's if a loss left the gradient of that.
#[derive(Debug)]
struct DrawStep;

impl<B: LinkedKernels> Backward<B, 2> for DrawStep {
    type State = ([NodeId; 2], NoiseSpan, NormalSum, KlLink);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let (inputs, noise, form, link) = ops.state;
        let [mu, rho] = inputs.map(|input| checkpointer.retrieve_node_output(input));
        let grad = grads.consume::<B>(&ops.node);
        let [mu_node, rho_node] = ops.parents;
        let (mu_grad, rho_grad) = match link.take::<FloatTensor<B>>() {
            Some(sum_grad) => {
                let (mu_grad, rho_grad) =
                    B::draw_and_sum_backward(grad, sum_grad, mu, rho, noise, form);
                (mu_grad, Some(rho_grad))
            }
            None => {
                let rho_grad = rho_node
                    .is_some()
                    .then(|| B::map_backward(grad.clone(), rho, Map::Draw(noise)));
                (grad, rho_grad)
            }
        };
        if let Some(mu) = mu_node {
            grads.register::<B>(mu.id, mu_grad);
        }
        if let (Some(rho), Some(rho_grad)) = (rho_node, rho_grad) {
            grads.register::<B>(rho.id, rho_grad);
        }
    }
}

/// A loss's, which leaves its gradient of the KL for the draw.
#[derive(Debug)]
struct LossStep;

impl<B: Backend> Backward<B, 2> for LossStep {
    type State = (f64, DType, KlLink);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let (weight, dtype, link) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let [loss, sum] = ops.parents;
        if let Some(sum) = sum {
            let of_sum = B::float_mul_scalar(grad.clone(), weight.into());
            let of_sum = if of_sum.dtype() == dtype {
                of_sum
            } else {
                B::float_cast(of_sum, dtype.into())
            };
            // Left for the draw; a step finds a gradient of its own all the same.
            let zero = zero_like::<B>(&of_sum);
            grads.register::<B>(sum.id, zero.clone());
            link.leave::<FloatTensor<B>>(of_sum, zero, B::float_add);
        }
        if let Some(loss) = loss {
            grads.register::<B>(loss.id, grad);
        }
    }
}

/// The gradient of a sum that has none.
fn zero_like<B: Backend>(grad: &FloatTensor<B>) -> FloatTensor<B> {
    B::float_zeros([1].into(), &grad.device(), grad.dtype().into())
}

/// Passes a gradient on as it is.
#[derive(Debug)]
struct PassStep;

impl<B: Backend> Backward<B, 1> for PassStep {
    type State = ();

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        unary::<B, _>(ops.parents, ops.node, grads, |grad| grad);
    }
}

/// A tensor of the backend with gradients.
type Tracked<B, C> = FloatTensor<Autodiff<B, C>>;

/// The same numbers, one step deeper in the graph.
fn deeper<B: Backend, C: CheckpointStrategy>(tensor: &Tracked<B, C>) -> Tracked<B, C> {
    let same = tensor.primitive().clone();
    match PassStep
        .prepare::<C>([tensor.node()])
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prep) => prep.finish((), same),
        OpsKind::UnTracked(prep) => prep.finish(same),
    }
}

/// A weight and its KL.
pub(in crate::kernels) fn draw_and_sum<B: LinkedKernels, C: CheckpointStrategy>(
    mu: Tracked<B, C>,
    rho: Tracked<B, C>,
    noise: NoiseSpan,
    form: NormalSum,
    link: KlLink,
) -> (Tracked<B, C>, Tracked<B, C>) {
    let (weight, sum) =
        B::draw_and_sum(mu.primitive().clone(), rho.primitive().clone(), noise, form);

    let nodes = [mu.node(), rho.node()];
    let sum = match SumStep.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(mut prep) => {
            let inputs = [prep.checkpoint(&mu), prep.checkpoint(&rho)];
            prep.finish((inputs, form, link.clone()), sum)
        }
        OpsKind::UnTracked(prep) => prep.finish(sum),
    };
    let (mu, rho) = (deeper::<B, C>(&mu), deeper::<B, C>(&rho));
    let nodes = [mu.node(), rho.node()];
    let weight = match DrawStep.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(mut prep) => {
            let inputs = [prep.checkpoint(&mu), prep.checkpoint(&rho)];
            prep.finish((inputs, noise, form, link), weight)
        }
        OpsKind::UnTracked(prep) => prep.finish(weight),
    };
    (weight, sum)
}

/// `loss + weight · kl`.
pub(in crate::kernels) fn add<B: Backend, C: CheckpointStrategy>(
    loss: Tracked<B, C>,
    kl: Tracked<B, C>,
    weight: f64,
    link: KlLink,
) -> Tracked<B, C> {
    let nodes = [loss.node(), kl.node()];
    let dtype = kl.primitive().dtype();
    let total = weighted_sum::<B>(loss.into_primitive(), kl.into_primitive(), weight);
    match LossStep.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish((weight, dtype, link), total),
        OpsKind::UnTracked(prep) => prep.finish(total),
    }
}
