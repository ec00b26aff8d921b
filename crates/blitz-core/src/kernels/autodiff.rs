//! The handwritten backward passes. None keeps noise: what the forward pass drew is drawn again.

mod linked;
mod lstm;

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
use super::formula::{AdamStep, NoiseSpan, NormalSum, ScaleMixture, Spread};
use super::link::KlLink;

impl<B: Backend + FusedKernels, C: CheckpointStrategy> FusedOps for Autodiff<B, C> {
    fn standard_normal(like: FloatTensor<Self>, noise: NoiseSpan) -> FloatTensor<Self> {
        Self::from_inner(B::standard_normal(like.into_primitive(), noise))
    }

    fn draw(mu: FloatTensor<Self>, rho: FloatTensor<Self>, noise: NoiseSpan) -> FloatTensor<Self> {
        with_noise::<B, C>([mu, rho], noise, B::draw, B::draw_backward)
    }

    fn normal_sum(
        mu: FloatTensor<Self>,
        rho: FloatTensor<Self>,
        form: NormalSum,
    ) -> FloatTensor<Self> {
        sum_over_weights::<B, C, _>(mu, rho, form)
    }

    fn draw_and_sum(
        mu: FloatTensor<Self>,
        rho: FloatTensor<Self>,
        noise: NoiseSpan,
        form: NormalSum,
        link: KlLink,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        linked::draw_and_sum::<B, C>(mu, rho, noise, form, link)
    }

    fn add_linked(
        loss: FloatTensor<Self>,
        kl: FloatTensor<Self>,
        weight: f64,
        link: KlLink,
    ) -> FloatTensor<Self> {
        linked::add::<B, C>(loss, kl, weight, link)
    }

    fn mixture_kl(
        mu: FloatTensor<Self>,
        rho: FloatTensor<Self>,
        noise: NoiseSpan,
        prior: ScaleMixture,
    ) -> FloatTensor<Self> {
        sum_over_weights::<B, C, _>(mu, rho, (noise, prior))
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

    fn lstm(
        pre_activations: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        hidden: FloatTensor<Self>,
        cell: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        lstm::lstm::<B, C>(pre_activations, weight, hidden, cell)
    }

    fn spread(rho: FloatTensor<Self>, spread: Spread) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct SpreadStep(Spread);

        impl<B: Backend + FusedKernels> Backward<B, 1> for SpreadStep {
            type State = NodeId;

            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                grads: &mut Gradients,
                checkpointer: &mut Checkpointer,
            ) {
                let rho = checkpointer.retrieve_node_output(ops.state);
                unary::<B, _>(ops.parents, ops.node, grads, |grad| {
                    B::spread_backward(grad, rho, self.0)
                });
            }
        }

        #[derive(Debug)]
        struct Again<B> {
            rho: NodeId,
            spread: Spread,
            backend: PhantomData<B>,
        }

        impl<B: Backend + FusedKernels> RetroForward for Again<B> {
            fn forward(&self, states: &mut BackwardStates, out_node: NodeId) {
                let rho = states.get_state::<FloatTensor<B>>(&self.rho);
                states.save(out_node, B::spread(rho, self.spread));
            }
        }

        let again = Again::<B> {
            rho: rho.id(),
            spread,
            backend: PhantomData,
        };
        match SpreadStep(spread)
            .prepare::<C>([rho.node()])
            .memory_bound()
            .retro_forward(again)
            .parents([&rho])
            .stateful()
        {
            OpsKind::Tracked(mut prep) => {
                let state = prep.checkpoint(&rho);
                prep.finish(state, B::spread(rho.into_primitive(), spread))
            }
            OpsKind::UnTracked(prep) => prep.finish(B::spread(rho.into_primitive(), spread)),
        }
    }

    fn draw_output(
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        noise: NoiseSpan,
    ) -> FloatTensor<Self> {
        with_noise::<B, C>(
            [mean, variance],
            noise,
            B::draw_output,
            B::draw_output_backward,
        )
    }
}

/// An operation of a location, a scale and noise.
type Noisy<B> = fn(FloatTensor<B>, FloatTensor<B>, NoiseSpan) -> FloatTensor<B>;

/// `location + scale's function · noise`: the gradient of the location is the output's own, that of the scale is computed by `backward`
/// from the output's gradient and the scale, which is all that is kept.
fn with_noise<B: Backend, C: CheckpointStrategy>(
    [location, scale]: [FloatTensor<Autodiff<B, C>>; 2],
    noise: NoiseSpan,
    forward: Noisy<B>,
    backward: Noisy<B>,
) -> FloatTensor<Autodiff<B, C>> {
    struct NoisyStep<B: Backend>(Noisy<B>);

    impl<B: Backend> std::fmt::Debug for NoisyStep<B> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("NoisyStep")
        }
    }

    impl<B: Backend> Backward<B, 2> for NoisyStep<B> {
        type State = (NodeId, NoiseSpan);

        fn backward(
            self,
            ops: Ops<Self::State, 2>,
            grads: &mut Gradients,
            checkpointer: &mut Checkpointer,
        ) {
            let (scale, noise) = ops.state;
            let scale = checkpointer.retrieve_node_output(scale);
            binary::<B, _, _>(
                ops.parents,
                ops.node,
                grads,
                |grad| grad,
                |grad| (self.0)(grad, scale, noise),
            );
        }
    }

    let again = Again::<B> {
        inputs: [location.id(), scale.id()],
        noise,
        forward,
    };
    match NoisyStep::<B>(backward)
        .prepare::<C>([location.node(), scale.node()])
        .memory_bound()
        .retro_forward(again)
        .parents([&location, &scale])
        .stateful()
    {
        OpsKind::Tracked(mut prep) => {
            let state = (prep.checkpoint(&scale), noise);
            let output = forward(location.into_primitive(), scale.into_primitive(), noise);
            prep.finish(state, output)
        }
        OpsKind::UnTracked(prep) => prep.finish(forward(
            location.into_primitive(),
            scale.into_primitive(),
            noise,
        )),
    }
}

/// Computes it once more, where checkpointing did not keep its output.
struct Again<B: Backend> {
    inputs: [NodeId; 2],
    noise: NoiseSpan,
    forward: Noisy<B>,
}

impl<B: Backend> std::fmt::Debug for Again<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Again")
            .field("inputs", &self.inputs)
            .field("noise", &self.noise)
            .finish_non_exhaustive()
    }
}

impl<B: Backend> RetroForward for Again<B> {
    fn forward(&self, states: &mut BackwardStates, out_node: NodeId) {
        let [location, scale] = self.inputs;
        let location = states.get_state::<FloatTensor<B>>(&location);
        let scale = states.get_state::<FloatTensor<B>>(&scale);
        states.save(out_node, (self.forward)(location, scale, self.noise));
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

fn sum_over_weights<B, C, F>(
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
