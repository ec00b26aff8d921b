//! The fused operations where Burn's Fusion defers the operations of a backend that has them: each is registered as one
//! more operation in its queue, which nothing is merged with.

use burn::tensor::{DType, Shape};
use burn_fusion::custom::{
    CustomOpIr, HandleContainer, OperationFn, OperationIr, StreamId, TensorIr,
};
use burn_fusion::{Fusion, FusionBackend, FusionRuntime, FusionTensor};

use super::backend::FusedKernels;
use super::formula::{AdamStep, IvonStep, Map, NoiseSpan, NormalSum, Sum, wide_type};
use super::linked::LinkedKernels;
use super::random::Random;

type Tensor<B> = FusionTensor<<B as FusionBackend>::FusionRuntime>;
type Primitive<B> = burn::backend::tensor::FloatTensor<B>;

/// Registers `operation` on float tensors, whose outputs have these shapes and types.
fn defer<B, const I: usize, const O: usize>(
    name: &'static str,
    inputs: [Tensor<B>; I],
    outputs: [(Shape, DType); O],
    operation: impl Fn([Primitive<B>; I]) -> [Primitive<B>; O] + Send + Sync + 'static,
) -> [Tensor<B>; O]
where
    B: FusionBackend,
{
    type Handles<B> =
        HandleContainer<<<B as FusionBackend>::FusionRuntime as FusionRuntime>::FusionHandle>;

    let client = inputs[0].client.clone();
    let inputs = inputs.map(|input| input.into_ir());
    let outputs =
        outputs.map(|(shape, dtype)| TensorIr::uninit(client.create_empty_handle(), shape, dtype));
    let description = CustomOpIr::new(name, &inputs, &outputs);
    let operation = OperationFn(move |handles: &mut Handles<B>| {
        let results = operation(
            inputs
                .each_ref()
                .map(|input| handles.get_float_tensor::<B>(input)),
        );
        for (output, result) in outputs.iter().zip(results) {
            handles.register_float_tensor::<B>(&output.id, result);
        }
        Ok(())
    });
    let tensors = client.register(
        StreamId::current(),
        OperationIr::Custom(description),
        operation,
    );
    tensors
        .try_into()
        .expect("an operation has the outputs that it is registered with")
}

fn like<B: FusionBackend>(tensor: &Tensor<B>) -> (Shape, DType) {
    (tensor.shape.clone(), tensor.dtype)
}

/// A sum over such a tensor.
fn sum_of<B: FusionBackend>(over: &Tensor<B>) -> (Shape, DType) {
    (Shape::new([1]), wide_type(over.dtype))
}

impl<B: FusionBackend + FusedKernels> FusedKernels for Fusion<B> {
    fn map(location: Tensor<B>, scale: Tensor<B>, op: Map) -> Tensor<B> {
        let outputs = [like::<B>(&location)];
        let inputs = [location, scale];
        let [out] = defer::<B, _, _>("blitz::map", inputs, outputs, move |[location, scale]| {
            [B::map(location, scale, op)]
        });
        out
    }

    fn map_backward(grad: Tensor<B>, scale: Tensor<B>, op: Map) -> Tensor<B> {
        let outputs = [like::<B>(&scale)];
        let inputs = [grad, scale];
        let [out] = defer::<B, _, _>(
            "blitz::map_backward",
            inputs,
            outputs,
            move |[grad, scale]| [B::map_backward(grad, scale, op)],
        );
        out
    }

    fn sum(mu: Tensor<B>, rho: Tensor<B>, op: Sum) -> Tensor<B> {
        let outputs = [sum_of::<B>(&mu)];
        let [out] = defer::<B, _, _>("blitz::sum", [mu, rho], outputs, move |[mu, rho]| {
            [B::sum(mu, rho, op)]
        });
        out
    }

    fn sum_backward(
        grad: Tensor<B>,
        mu: Tensor<B>,
        rho: Tensor<B>,
        op: Sum,
    ) -> (Tensor<B>, Tensor<B>) {
        let outputs = [like::<B>(&mu), like::<B>(&rho)];
        let inputs = [grad, mu, rho];
        let [mu_grad, rho_grad] = defer::<B, _, _>(
            "blitz::sum_backward",
            inputs,
            outputs,
            move |[grad, mu, rho]| B::sum_backward(grad, mu, rho, op).into(),
        );
        (mu_grad, rho_grad)
    }

    fn random(memory: Tensor<B>, op: Random) -> Tensor<B> {
        let outputs = [like::<B>(&memory)];
        let [out] = defer::<B, _, _>("blitz::random", [memory], outputs, move |[memory]| {
            [B::random(memory, op)]
        });
        out
    }

    fn adam_step(
        weight: Tensor<B>,
        grad: Tensor<B>,
        moment_1: Tensor<B>,
        moment_2: Tensor<B>,
        step: AdamStep,
    ) -> (Tensor<B>, Tensor<B>, Tensor<B>) {
        let outputs = [&weight, &moment_1, &moment_2].map(like::<B>);
        let inputs = [weight, grad, moment_1, moment_2];
        defer::<B, _, _>(
            "blitz::adam_step",
            inputs,
            outputs,
            move |[weight, grad, moment_1, moment_2]| {
                B::adam_step(weight, grad, moment_1, moment_2, step).into()
            },
        )
        .into()
    }

    fn ivon_step(
        inputs: [Tensor<B>; 5],
        momentum_weight: Tensor<B>,
        step: IvonStep,
    ) -> [Tensor<B>; 3] {
        let [mean, grad, grad_hess, hess, momentum] = inputs;
        let outputs = [&mean, &hess, &momentum].map(like::<B>);
        let inputs = [mean, grad, grad_hess, hess, momentum, momentum_weight];
        defer::<B, _, _>(
            "blitz::ivon_step",
            inputs,
            outputs,
            move |[mean, grad, grad_hess, hess, momentum, weight]| {
                B::ivon_step([mean, grad, grad_hess, hess, momentum], weight, step)
            },
        )
    }

    fn lstm_cell(gates: Tensor<B>, cell: Tensor<B>) -> (Tensor<B>, Tensor<B>, Tensor<B>) {
        let outputs = [&gates, &cell, &cell].map(like::<B>);
        defer::<B, _, _>(
            "blitz::lstm_cell",
            [gates, cell],
            outputs,
            |[gates, cell]| B::lstm_cell(gates, cell).into(),
        )
        .into()
    }

    fn lstm_cell_backward(
        gates: Tensor<B>,
        [before, after]: [Tensor<B>; 2],
        hidden_grad: Tensor<B>,
        cell_grad: Tensor<B>,
    ) -> (Tensor<B>, Tensor<B>) {
        let outputs = [&gates, &before].map(like::<B>);
        let inputs = [gates, before, after, hidden_grad, cell_grad];
        defer::<B, _, _>(
            "blitz::lstm_cell_backward",
            inputs,
            outputs,
            |[gates, before, after, hidden_grad, cell_grad]| {
                B::lstm_cell_backward(gates, [before, after], hidden_grad, cell_grad).into()
            },
        )
        .into()
    }
}

impl<B: FusionBackend + LinkedKernels> LinkedKernels for Fusion<B> {
    fn draw_and_sum(
        mu: Tensor<B>,
        rho: Tensor<B>,
        noise: NoiseSpan,
        form: NormalSum,
    ) -> (Tensor<B>, Tensor<B>) {
        let outputs = [like::<B>(&mu), sum_of::<B>(&mu)];
        defer::<B, _, _>(
            "blitz::draw_and_sum",
            [mu, rho],
            outputs,
            move |[mu, rho]| B::draw_and_sum(mu, rho, noise, form).into(),
        )
        .into()
    }

    fn draw_and_sum_backward(
        grad: Tensor<B>,
        sum_grad: Tensor<B>,
        mu: Tensor<B>,
        rho: Tensor<B>,
        noise: NoiseSpan,
        form: NormalSum,
    ) -> (Tensor<B>, Tensor<B>) {
        let outputs = [like::<B>(&mu), like::<B>(&rho)];
        defer::<B, _, _>(
            "blitz::draw_and_sum_backward",
            [grad, sum_grad, mu, rho],
            outputs,
            move |[grad, sum_grad, mu, rho]| {
                B::draw_and_sum_backward(grad, sum_grad, mu, rho, noise, form).into()
            },
        )
        .into()
    }

    fn is_known_zero(grad: &Tensor<B>, zero: Option<&Tensor<B>>) -> bool {
        zero.is_some_and(|zero| grad.id == zero.id)
    }
}
