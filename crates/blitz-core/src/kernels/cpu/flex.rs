//! The fused operations on Flex.

use std::borrow::Cow;

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, TensorData};

use super::{Elements, Memory, NoiseSpan, NormalSum, ScaleMixture, kernels_in_memory};

impl Memory for FlexTensor {
    fn elements(&self) -> Elements<'_> {
        macro_rules! elements {
            ($element:ty) => {
                match self.as_slice::<$element>() {
                    Some(elements) => Cow::Borrowed(elements),
                    None => Cow::Owned(self.to_contiguous().storage::<$element>().to_vec()),
                }
            };
        }
        match self.dtype() {
            DType::F32 => Elements::F32(elements!(f32)),
            DType::F64 => Elements::F64(elements!(f64)),
            DType::F16 => Elements::F16(elements!(burn::tensor::f16)),
            DType::BF16 => Elements::Bf16(elements!(burn::tensor::bf16)),
            other => panic!("a fused operation needs floating-point tensors, got {other:?}"),
        }
    }

    fn from_data(data: TensorData) -> Self {
        FlexTensor::from_data(data)
    }
}

kernels_in_memory!(Flex);
