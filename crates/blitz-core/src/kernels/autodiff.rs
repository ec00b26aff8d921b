//! The handwritten backward passes. None keeps noise: what the forward pass drew is drawn again.

mod convolution;
mod lstm;
mod moments;

use std::marker::PhantomData;

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::retro_forward::RetroForward;
use burn::backend::autodiff::checkpoint::state::BackwardStates;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, binary};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Backend};

use super::backend::{FusedKernels, FusedOps};
use super::convolution::Window;
use super::formula::{AdamStep, IvonStep, Map, NoiseSpan, NormalSum, Rectified, Sum};
use super::linked::{self, KlLink, LinkedKernels};
use super::random::Random;

impl<B: LinkedKernels, C: CheckpointStrategy> FusedOps for Autodiff<B, C> {
    fn map(location: FloatTensor<Self>, scale: FloatTensor<Self>, op: Map) -> FloatTensor<Self> {
        if op.reads() == [false, false] {
            let [location, scale] = [location, scale].map(|like| like.into_primitive());
            return Self::from_inner(B::map(location, scale, op));
        }
        tracked_map::<B, C>(location, scale, op)
    }

    /// Both of its gradients come from one pass.
    fn sum(mu: FloatTensor<Self>, rho: FloatTensor<Self>, op: Sum) -> FloatTensor<Self> {
        // One number: nothing is gained by computing it again.
        match SumStep(op)
            .prepare::<C>([mu.node(), rho.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(mut prep) => {
                let state = [prep.checkpoint(&mu), prep.checkpoint(&rho)];
                prep.finish(state, B::sum(mu.into_primitive(), rho.into_primitive(), op))
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::sum(mu.into_primitive(), rho.into_primitive(), op))
            }
        }
    }

    fn random(memory: FloatTensor<Self>, op: Random) -> FloatTensor<Self> {
        Self::from_inner(B::random(memory.into_primitive(), op))
    }

    fn draw_and_sum(
        mu: FloatTensor<Self>,
        rho: FloatTensor<Self>,
        noise: NoiseSpan,
        form: NormalSum,
        link: KlLink,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        linked::autodiff::draw_and_sum::<B, C>(mu, rho, noise, form, link)
    }

    fn add_linked(
        loss: FloatTensor<Self>,
        kl: FloatTensor<Self>,
        weight: f64,
        link: KlLink,
    ) -> FloatTensor<Self> {
        linked::autodiff::add::<B, C>(loss, kl, weight, link)
    }

    fn adam_step(
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        moment_1: FloatTensor<Self>,
        moment_2: FloatTensor<Self>,
        step: AdamStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let (weight, moment_1, moment_2) = B::adam_step(
            weight.into_primitive(),
            grad.into_primitive(),
            moment_1.into_primitive(),
            moment_2.into_primitive(),
            step,
        );
        (
            Self::from_inner(weight),
            Self::from_inner(moment_1),
            Self::from_inner(moment_2),
        )
    }

    fn ivon_step(
        mean: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        grad_hess: FloatTensor<Self>,
        hess: FloatTensor<Self>,
        momentum: FloatTensor<Self>,
        momentum_weight: FloatTensor<Self>,
        step: IvonStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let inputs = [mean, grad, grad_hess, hess, momentum].map(|input| input.into_primitive());
        let outputs = B::ivon_step(inputs, momentum_weight.into_primitive(), step);
        outputs.map(Self::from_inner).into()
    }

    fn lstm(
        pre_activations: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        hidden: FloatTensor<Self>,
        cell: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        lstm::lstm::<B, C>(pre_activations, weight, hidden, cell)
    }

    fn convolve(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        window: Window,
    ) -> FloatTensor<Self> {
        convolution::convolve::<B, C>(input, weight, bias, window)
    }

    fn rectify(
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        op: Rectified,
    ) -> FloatTensor<Self> {
        moments::rectify::<B, C>(mean, variance, op)
    }

    fn pool(input: FloatTensor<Self>) -> FloatTensor<Self> {
        convolution::pool::<B, C>(input)
    }
}

/// The backward pass of a [`Map`], which keeps the scale alone.
#[derive(Debug)]
struct MapStep(Map);

impl<B: FusedKernels> Backward<B, 2> for MapStep {
    type State = NodeId;

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let scale = checkpointer.retrieve_node_output(ops.state);
        let [location, scale_node] = ops.parents;
        let [reads_location, _] = self.0.reads();
        binary::<B, _, _>(
            [location.filter(|_| reads_location), scale_node],
            ops.node,
            grads,
            |grad| grad,
            |grad| B::map_backward(grad, scale, self.0),
        );
    }
}

/// Computes a [`Map`] once more, where checkpointing did not keep its output.
#[derive(Debug)]
struct Again<B> {
    op: Map,
    inputs: [NodeId; 2],
    backend: PhantomData<B>,
}

impl<B: FusedKernels> RetroForward for Again<B> {
    fn forward(&self, states: &mut BackwardStates, out_node: NodeId) {
        let [location, scale] = self
            .inputs
            .map(|input| states.get_state::<FloatTensor<B>>(&input));
        states.save(out_node, B::map(location, scale, self.op));
    }
}

fn tracked_map<B: FusedKernels, C: CheckpointStrategy>(
    location: FloatTensor<Autodiff<B, C>>,
    scale: FloatTensor<Autodiff<B, C>>,
    op: Map,
) -> FloatTensor<Autodiff<B, C>> {
    let again = Again::<B> {
        op,
        inputs: [location.id(), scale.id()],
        backend: PhantomData,
    };
    match MapStep(op)
        .prepare::<C>([location.node(), scale.node()])
        .memory_bound()
        .retro_forward(again)
        .parents([&location, &scale])
        .stateful()
    {
        OpsKind::Tracked(mut prep) => {
            let state = prep.checkpoint(&scale);
            let output = B::map(location.into_primitive(), scale.into_primitive(), op);
            prep.finish(state, output)
        }
        OpsKind::UnTracked(prep) => prep.finish(B::map(
            location.into_primitive(),
            scale.into_primitive(),
            op,
        )),
    }
}

/// The backward pass of a [`Sum`].
#[derive(Debug)]
struct SumStep(Sum);

impl<B: FusedKernels> Backward<B, 2> for SumStep {
    type State = [NodeId; 2];

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let [mu, rho] = ops
            .state
            .map(|input| checkpointer.retrieve_node_output(input));
        let grad = grads.consume::<B>(&ops.node);
        let (mu_grad, rho_grad) = B::sum_backward(grad, mu, rho, self.0);
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        register::<B>(grads, parents, [mu_grad, rho_grad]);
    }
}

/// Adds gradients to those that are tracked.
pub(super) fn register<B: Backend>(
    grads: &mut Gradients,
    parents: [Option<NodeId>; 2],
    parent_grads: [FloatTensor<B>; 2],
) {
    for (parent, grad) in parents.into_iter().zip(parent_grads) {
        if let Some(parent) = parent {
            grads.register::<B>(parent, grad);
        }
    }
}
