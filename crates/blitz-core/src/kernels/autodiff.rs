//! The handwritten backward passes. None keeps noise: what the forward pass drew is drawn again.

use std::marker::PhantomData;

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::retro_forward::RetroForward;
use burn::backend::autodiff::checkpoint::state::BackwardStates;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, binary, unary};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Backend};

use super::backend::{FusedKernels, FusedOps};
use super::formula::{NoiseSpan, NormalSum, ScaleMixture};

impl<B: Backend + FusedKernels, C: CheckpointStrategy> FusedOps for Autodiff<B, C> {
    fn standard_normal(like: FloatTensor<Self>, noise: NoiseSpan) -> FloatTensor<Self> {
        Self::from_inner(B::standard_normal(like.into_primitive(), noise))
    }

    fn draw(mu: FloatTensor<Self>, rho: FloatTensor<Self>, noise: NoiseSpan) -> FloatTensor<Self> {
        /// Holds ρ.
        #[derive(Debug)]
        struct DrawStep;

        impl<B: Backend + FusedKernels> Backward<B, 2> for DrawStep {
            type State = (NodeId, NoiseSpan);

            fn backward(
                self,
                ops: Ops<Self::State, 2>,
                grads: &mut Gradients,
                checkpointer: &mut Checkpointer,
            ) {
                let (rho, noise) = ops.state;
                let rho = checkpointer.retrieve_node_output(rho);
                binary::<B, _, _>(
                    ops.parents,
                    ops.node,
                    grads,
                    |grad| grad,
                    |grad| B::draw_backward(grad, rho, noise),
                );
            }
        }

        let again = Again2::<B, NoiseSpan> {
            inputs: [mu.id(), rho.id()],
            options: noise,
            forward: B::draw,
        };
        match DrawStep
            .prepare::<C>([mu.node(), rho.node()])
            .memory_bound()
            .retro_forward(again)
            .parents([&mu, &rho])
            .stateful()
        {
            OpsKind::Tracked(mut prep) => {
                let state = (prep.checkpoint(&rho), noise);
                prep.finish(
                    state,
                    B::draw(mu.into_primitive(), rho.into_primitive(), noise),
                )
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::draw(mu.into_primitive(), rho.into_primitive(), noise))
            }
        }
    }

    fn normal_sum(
        mu: FloatTensor<Self>,
        rho: FloatTensor<Self>,
        form: NormalSum,
    ) -> FloatTensor<Self> {
        weighted_sum::<B, C, _>(mu, rho, form)
    }

    fn mixture_kl(
        mu: FloatTensor<Self>,
        rho: FloatTensor<Self>,
        noise: NoiseSpan,
        prior: ScaleMixture,
    ) -> FloatTensor<Self> {
        weighted_sum::<B, C, _>(mu, rho, (noise, prior))
    }

    fn variance(rho: FloatTensor<Self>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct VarianceStep;

        impl<B: Backend + FusedKernels> Backward<B, 1> for VarianceStep {
            type State = NodeId;

            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                grads: &mut Gradients,
                checkpointer: &mut Checkpointer,
            ) {
                let rho = checkpointer.retrieve_node_output(ops.state);
                unary::<B, _>(ops.parents, ops.node, grads, |grad| {
                    B::variance_backward(grad, rho)
                });
            }
        }

        #[derive(Debug)]
        struct Again<B> {
            rho: NodeId,
            backend: PhantomData<B>,
        }

        impl<B: Backend + FusedKernels> RetroForward for Again<B> {
            fn forward(&self, states: &mut BackwardStates, out_node: NodeId) {
                let rho = states.get_state::<FloatTensor<B>>(&self.rho);
                states.save(out_node, B::variance(rho));
            }
        }

        let again = Again::<B> {
            rho: rho.id(),
            backend: PhantomData,
        };
        match VarianceStep
            .prepare::<C>([rho.node()])
            .memory_bound()
            .retro_forward(again)
            .parents([&rho])
            .stateful()
        {
            OpsKind::Tracked(mut prep) => {
                let state = prep.checkpoint(&rho);
                prep.finish(state, B::variance(rho.into_primitive()))
            }
            OpsKind::UnTracked(prep) => prep.finish(B::variance(rho.into_primitive())),
        }
    }

    fn draw_output(
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        noise: NoiseSpan,
    ) -> FloatTensor<Self> {
        /// Holds the variance.
        #[derive(Debug)]
        struct OutputStep;

        impl<B: Backend + FusedKernels> Backward<B, 2> for OutputStep {
            type State = (NodeId, NoiseSpan);

            fn backward(
                self,
                ops: Ops<Self::State, 2>,
                grads: &mut Gradients,
                checkpointer: &mut Checkpointer,
            ) {
                let (variance, noise) = ops.state;
                let variance = checkpointer.retrieve_node_output(variance);
                binary::<B, _, _>(
                    ops.parents,
                    ops.node,
                    grads,
                    |grad| grad,
                    |grad| B::draw_output_backward(grad, variance, noise),
                );
            }
        }

        let again = Again2::<B, NoiseSpan> {
            inputs: [mean.id(), variance.id()],
            options: noise,
            forward: B::draw_output,
        };
        match OutputStep
            .prepare::<C>([mean.node(), variance.node()])
            .memory_bound()
            .retro_forward(again)
            .parents([&mean, &variance])
            .stateful()
        {
            OpsKind::Tracked(mut prep) => {
                let state = (prep.checkpoint(&variance), noise);
                let output =
                    B::draw_output(mean.into_primitive(), variance.into_primitive(), noise);
                prep.finish(state, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::draw_output(
                mean.into_primitive(),
                variance.into_primitive(),
                noise,
            )),
        }
    }
}

/// Computes an operation of two tensors once more, where checkpointing did not keep its output.
struct Again2<B: Backend, T> {
    inputs: [NodeId; 2],
    options: T,
    forward: fn(FloatTensor<B>, FloatTensor<B>, T) -> FloatTensor<B>,
}

impl<B: Backend, T: std::fmt::Debug> std::fmt::Debug for Again2<B, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Again2")
            .field("inputs", &self.inputs)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl<B: Backend, T: Copy + std::fmt::Debug + Send + 'static> RetroForward for Again2<B, T> {
    fn forward(&self, states: &mut BackwardStates, out_node: NodeId) {
        let [first, second] = self.inputs;
        let first = states.get_state::<FloatTensor<B>>(&first);
        let second = states.get_state::<FloatTensor<B>>(&second);
        states.save(out_node, (self.forward)(first, second, self.options));
    }
}

/// A sum over the weights of a function of μ and ρ, both of whose gradients come from one pass.
trait WeightSum<B: Backend>: Copy + Send + std::fmt::Debug + 'static {
    fn forward(self, mu: FloatTensor<B>, rho: FloatTensor<B>) -> FloatTensor<B>;

    fn backward(
        self,
        grad: FloatTensor<B>,
        mu: FloatTensor<B>,
        rho: FloatTensor<B>,
    ) -> (FloatTensor<B>, FloatTensor<B>);
}

impl<B: FusedKernels> WeightSum<B> for NormalSum {
    fn forward(self, mu: FloatTensor<B>, rho: FloatTensor<B>) -> FloatTensor<B> {
        B::normal_sum(mu, rho, self)
    }

    fn backward(
        self,
        grad: FloatTensor<B>,
        mu: FloatTensor<B>,
        rho: FloatTensor<B>,
    ) -> (FloatTensor<B>, FloatTensor<B>) {
        B::normal_sum_backward(grad, mu, rho, self)
    }
}

impl<B: FusedKernels> WeightSum<B> for (NoiseSpan, ScaleMixture) {
    fn forward(self, mu: FloatTensor<B>, rho: FloatTensor<B>) -> FloatTensor<B> {
        B::mixture_kl(mu, rho, self.0, self.1)
    }

    fn backward(
        self,
        grad: FloatTensor<B>,
        mu: FloatTensor<B>,
        rho: FloatTensor<B>,
    ) -> (FloatTensor<B>, FloatTensor<B>) {
        B::mixture_kl_backward(grad, mu, rho, self.0, self.1)
    }
}

fn weighted_sum<B, C, F>(
    mu: FloatTensor<Autodiff<B, C>>,
    rho: FloatTensor<Autodiff<B, C>>,
    form: F,
) -> FloatTensor<Autodiff<B, C>>
where
    B: Backend,
    C: CheckpointStrategy,
    F: WeightSum<B>,
{
    #[derive(Debug)]
    struct SumStep<F>(F);

    impl<B: Backend, F: WeightSum<B>> Backward<B, 2> for SumStep<F> {
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
            let (mu_grad, rho_grad) = self.0.backward(grad, mu, rho);
            let [mu, rho] = ops.parents;
            if let Some(mu) = mu {
                grads.register::<B>(mu.id, mu_grad);
            }
            if let Some(rho) = rho {
                grads.register::<B>(rho.id, rho_grad);
            }
        }
    }

    // One number: nothing is gained by computing it again.
    match SumStep(form)
        .prepare::<C>([mu.node(), rho.node()])
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(mut prep) => {
            let state = [prep.checkpoint(&mu), prep.checkpoint(&rho)];
            let sum = form.forward(mu.into_primitive(), rho.into_primitive());
            prep.finish(state, sum)
        }
        OpsKind::UnTracked(prep) => {
            prep.finish(form.forward(mu.into_primitive(), rho.into_primitive()))
        }
    }
}
