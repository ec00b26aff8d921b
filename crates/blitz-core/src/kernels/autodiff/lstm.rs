//! The backward pass of an LSTM over a whole sequence.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend};

use crate::kernels::backend::FusedKernels;
use crate::kernels::lstm::LstmSteps;

#[derive(Debug)]
struct LstmStep;

impl<B: Backend + FusedKernels> Backward<B, 4> for LstmStep {
    type State = (LstmSteps<B>, FloatTensor<B>);

    fn backward(
        self,
        ops: Ops<Self::State, 4>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let (steps, weight) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        for (parent, grad) in ops
            .parents
            .iter()
            .zip(B::lstm_backward(steps, grad, weight))
        {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, grad);
            }
        }
    }
}

/// [`LstmSteps`], with a gradient. Keeps its steps also under gradient checkpointing: they are what the backward pass is for.
pub(super) fn lstm<B: Backend + FusedKernels, C: CheckpointStrategy>(
    pre_activations: FloatTensor<Autodiff<B, C>>,
    weight: FloatTensor<Autodiff<B, C>>,
    hidden: FloatTensor<Autodiff<B, C>>,
    cell: FloatTensor<Autodiff<B, C>>,
) -> FloatTensor<Autodiff<B, C>> {
    let operation = LstmStep
        .prepare::<C>([
            pre_activations.node(),
            weight.node(),
            hidden.node(),
            cell.node(),
        ])
        .compute_bound()
        .stateful();
    let weight = weight.into_primitive();
    let steps = B::lstm_steps(
        pre_activations.into_primitive(),
        weight.clone(),
        hidden.into_primitive(),
        cell.into_primitive(),
    );
    let output = steps.output();
    match operation {
        OpsKind::Tracked(prep) => prep.finish((steps, weight), output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    }
}
