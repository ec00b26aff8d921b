//! The fused operations where Burn's Fusion defers the operations of a backend that has them: each is registered as one more
//! operation in its queue, which nothing is merged with.

use burn::tensor::{DType, Shape};
use burn_fusion::custom::{
    CustomOpIr, HandleContainer, OperationFn, OperationIr, StreamId, TensorIr,
};
use burn_fusion::{Fusion, FusionBackend, FusionRuntime, FusionTensor};

use super::backend::FusedKernels;
use super::formula::{NoiseSpan, NormalSum, ScaleMixture, Spread};

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

/// One number in the type of a tensor.
fn number<B: FusionBackend>(like: &Tensor<B>) -> (Shape, DType) {
    (Shape::new([1]), like.dtype)
}

impl<B: FusionBackend + FusedKernels> FusedKernels for Fusion<B> {
    fn standard_normal(tensor: Tensor<B>, noise: NoiseSpan) -> Tensor<B> {
        let outputs = [like::<B>(&tensor)];
        let [out] = defer::<B, _, _>(
            "blitz::standard_normal",
            [tensor],
            outputs,
            move |[like]| [B::standard_normal(like, noise)],
        );
        out
    }

    fn draw(mu: Tensor<B>, rho: Tensor<B>, noise: NoiseSpan) -> Tensor<B> {
        let outputs = [like::<B>(&mu)];
        let [out] = defer::<B, _, _>("blitz::draw", [mu, rho], outputs, move |[mu, rho]| {
            [B::draw(mu, rho, noise)]
        });
        out
    }

    fn draw_backward(grad: Tensor<B>, rho: Tensor<B>, noise: NoiseSpan) -> Tensor<B> {
        let outputs = [like::<B>(&rho)];
        let [out] = defer::<B, _, _>(
            "blitz::draw_backward",
            [grad, rho],
            outputs,
            move |[grad, rho]| [B::draw_backward(grad, rho, noise)],
        );
        out
    }

    fn normal_sum(mu: Tensor<B>, rho: Tensor<B>, form: NormalSum) -> Tensor<B> {
        let outputs = [number::<B>(&mu)];
        let [out] = defer::<B, _, _>("blitz::normal_sum", [mu, rho], outputs, move |[mu, rho]| {
            [B::normal_sum(mu, rho, form)]
        });
        out
    }

    fn normal_sum_backward(
        grad: Tensor<B>,
        mu: Tensor<B>,
        rho: Tensor<B>,
        form: NormalSum,
    ) -> (Tensor<B>, Tensor<B>) {
        let outputs = [like::<B>(&mu), like::<B>(&rho)];
        let [mu_grad, rho_grad] = defer::<B, _, _>(
            "blitz::normal_sum_backward",
            [grad, mu, rho],
            outputs,
            move |[grad, mu, rho]| B::normal_sum_backward(grad, mu, rho, form).into(),
        );
        (mu_grad, rho_grad)
    }

    fn mixture_kl(
        mu: Tensor<B>,
        rho: Tensor<B>,
        noise: NoiseSpan,
        prior: ScaleMixture,
    ) -> Tensor<B> {
        let outputs = [number::<B>(&mu)];
        let [out] = defer::<B, _, _>("blitz::mixture_kl", [mu, rho], outputs, move |[mu, rho]| {
            [B::mixture_kl(mu, rho, noise, prior)]
        });
        out
    }

    fn mixture_kl_backward(
        grad: Tensor<B>,
        mu: Tensor<B>,
        rho: Tensor<B>,
        noise: NoiseSpan,
        prior: ScaleMixture,
    ) -> (Tensor<B>, Tensor<B>) {
        let outputs = [like::<B>(&mu), like::<B>(&rho)];
        let [mu_grad, rho_grad] = defer::<B, _, _>(
            "blitz::mixture_kl_backward",
            [grad, mu, rho],
            outputs,
            move |[grad, mu, rho]| B::mixture_kl_backward(grad, mu, rho, noise, prior).into(),
        );
        (mu_grad, rho_grad)
    }

    fn spread(rho: Tensor<B>, spread: Spread) -> Tensor<B> {
        let outputs = [like::<B>(&rho)];
        let [out] = defer::<B, _, _>("blitz::spread", [rho], outputs, move |[rho]| {
            [B::spread(rho, spread)]
        });
        out
    }

    fn spread_backward(grad: Tensor<B>, rho: Tensor<B>, spread: Spread) -> Tensor<B> {
        let outputs = [like::<B>(&rho)];
        let [out] = defer::<B, _, _>(
            "blitz::spread_backward",
            [grad, rho],
            outputs,
            move |[grad, rho]| [B::spread_backward(grad, rho, spread)],
        );
        out
    }

    fn draw_output(mean: Tensor<B>, variance: Tensor<B>, noise: NoiseSpan) -> Tensor<B> {
        let outputs = [like::<B>(&mean)];
        let [out] = defer::<B, _, _>(
            "blitz::draw_output",
            [mean, variance],
            outputs,
            move |[mean, variance]| [B::draw_output(mean, variance, noise)],
        );
        out
    }

    fn draw_output_backward(grad: Tensor<B>, variance: Tensor<B>, noise: NoiseSpan) -> Tensor<B> {
        let outputs = [like::<B>(&variance)];
        let [out] = defer::<B, _, _>(
            "blitz::draw_output_backward",
            [grad, variance],
            outputs,
            move |[grad, variance]| [B::draw_output_backward(grad, variance, noise)],
        );
        out
    }
}
