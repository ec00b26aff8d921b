//! The fused operations where Burn's Fusion defers the operations of a backend that has them: each is registered as one more
//! operation in its queue, which nothing is merged with.

use burn::tensor::{DType, Shape};
use burn_fusion::custom::{
    CustomOpIr, HandleContainer, OperationFn, OperationIr, StreamId, TensorIr,
};
use burn_fusion::{Fusion, FusionBackend, FusionRuntime, FusionTensor};

use super::backend::FusedKernels;
use super::formula::{Map, Sum, sum_dtype};

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
    (Shape::new([1]), sum_dtype(over.dtype))
}

impl<B: FusionBackend + FusedKernels> FusedKernels for Fusion<B> {
    fn map(op: Map, location: Tensor<B>, scale: Tensor<B>) -> Tensor<B> {
        let outputs = [like::<B>(&location)];
        let inputs = [location, scale];
        let [out] = defer::<B, _, _>("blitz::map", inputs, outputs, move |[location, scale]| {
            [B::map(op, location, scale)]
        });
        out
    }

    fn map_backward(op: Map, grad: Tensor<B>, scale: Tensor<B>) -> Tensor<B> {
        let outputs = [like::<B>(&scale)];
        let inputs = [grad, scale];
        let [out] = defer::<B, _, _>(
            "blitz::map_backward",
            inputs,
            outputs,
            move |[grad, scale]| [B::map_backward(op, grad, scale)],
        );
        out
    }

    fn sum(op: Sum, mu: Tensor<B>, rho: Tensor<B>) -> Tensor<B> {
        let outputs = [sum_of::<B>(&mu)];
        let [out] = defer::<B, _, _>("blitz::sum", [mu, rho], outputs, move |[mu, rho]| {
            [B::sum(op, mu, rho)]
        });
        out
    }

    fn sum_backward(
        op: Sum,
        grad: Tensor<B>,
        mu: Tensor<B>,
        rho: Tensor<B>,
    ) -> (Tensor<B>, Tensor<B>) {
        let outputs = [like::<B>(&mu), like::<B>(&rho)];
        let inputs = [grad, mu, rho];
        let [mu_grad, rho_grad] = defer::<B, _, _>(
            "blitz::sum_backward",
            inputs,
            outputs,
            move |[grad, mu, rho]| B::sum_backward(op, grad, mu, rho).into(),
        );
        (mu_grad, rho_grad)
    }
}
