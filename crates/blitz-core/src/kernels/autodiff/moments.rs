//! The backward pass of a moment of rectified normals, which keeps its inputs alone.

use burn::backend::Autodiff;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;

use super::register;
use crate::kernels::backend::FusedKernels;
use crate::kernels::formula::Rectified;

#[derive(Debug)]
struct RectifyStep(Rectified);

impl<B: FusedKernels> Backward<B, 2> for RectifyStep {
    type State = [NodeId; 2];

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let [mean, variance] = ops
            .state
            .map(|node| checkpointer.retrieve_node_output(node));
        let grad = grads.consume::<B>(&ops.node);
        let gradients = B::rectify_backward(grad, mean, variance, self.0);
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        register::<B>(grads, parents, gradients);
    }
}

/// [`FusedKernels::rectify`], with a gradient.
pub(super) fn rectify<B: FusedKernels, C: CheckpointStrategy>(
    mean: FloatTensor<Autodiff<B, C>>,
    variance: FloatTensor<Autodiff<B, C>>,
    op: Rectified,
) -> FloatTensor<Autodiff<B, C>> {
    let forward = |mean, variance| B::rectify(mean, variance, op);
    match RectifyStep(op)
        .prepare::<C>([mean.node(), variance.node()])
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(mut prep) => {
            let state = [prep.checkpoint(&mean), prep.checkpoint(&variance)];
            let [mean, variance] = [mean, variance].map(|x| x.into_primitive());
            prep.finish(state, forward(mean, variance))
        }
        OpsKind::UnTracked(prep) => {
            let [mean, variance] = [mean, variance].map(|x| x.into_primitive());
            prep.finish(forward(mean, variance))
        }
    }
}
