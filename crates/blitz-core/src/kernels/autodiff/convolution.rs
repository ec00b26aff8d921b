//! The backward passes of a convolution and of a max pooling, each of which keeps its input alone.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend};

use crate::kernels::backend::FusedKernels;
use crate::kernels::convolution::Window;

#[derive(Debug)]
struct ConvolveStep(Window);

impl<B: FusedKernels> Backward<B, 3> for ConvolveStep {
    type State = [NodeId; 2];

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let [input, weight] = ops
            .state
            .map(|node| checkpointer.retrieve_node_output(node));
        let grad = grads.consume::<B>(&ops.node);
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let of_parents = B::convolve_backward(input, weight, grad, self.0, wanted);
        for (parent, grad) in ops.parents.iter().zip(of_parents) {
            if let (Some(parent), Some(grad)) = (parent, grad) {
                grads.register::<B>(parent.id, grad);
            }
        }
    }
}

/// [`FusedKernels::convolve`], with a gradient.
pub(super) fn convolve<B: FusedKernels, C: CheckpointStrategy>(
    input: FloatTensor<Autodiff<B, C>>,
    weight: FloatTensor<Autodiff<B, C>>,
    bias: FloatTensor<Autodiff<B, C>>,
    window: Window,
) -> FloatTensor<Autodiff<B, C>> {
    let forward = |input, weight, bias| B::convolve(input, weight, bias, window);
    match ConvolveStep(window)
        .prepare::<C>([input.node(), weight.node(), bias.node()])
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(mut prep) => {
            let state = [prep.checkpoint(&input), prep.checkpoint(&weight)];
            let [input, weight, bias] = [input, weight, bias].map(|x| x.into_primitive());
            prep.finish(state, forward(input, weight, bias))
        }
        OpsKind::UnTracked(prep) => {
            let [input, weight, bias] = [input, weight, bias].map(|x| x.into_primitive());
            prep.finish(forward(input, weight, bias))
        }
    }
}

#[derive(Debug)]
struct PoolStep;

impl<B: FusedKernels> Backward<B, 1> for PoolStep {
    type State = NodeId;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let input = checkpointer.retrieve_node_output(ops.state);
        unary::<B, _>(ops.parents, ops.node, grads, |grad| {
            B::pool_backward(input, grad)
        });
    }
}

/// [`FusedKernels::pool`], with a gradient.
pub(super) fn pool<B: Backend + FusedKernels, C: CheckpointStrategy>(
    input: FloatTensor<Autodiff<B, C>>,
) -> FloatTensor<Autodiff<B, C>> {
    match PoolStep
        .prepare::<C>([input.node()])
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(mut prep) => {
            let state = prep.checkpoint(&input);
            prep.finish(state, B::pool(input.into_primitive()))
        }
        OpsKind::UnTracked(prep) => prep.finish(B::pool(input.into_primitive())),
    }
}
