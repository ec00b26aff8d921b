//! The fused operations on Flex.

use std::borrow::Cow;

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, TensorData};

use super::{Elements, ElementsMut, Memory, kernels_in_memory};
use crate::kernels::convolution::Window;
use crate::kernels::formula::{AdamStep, IvonStep, Map, Rectified, Sum};
use crate::kernels::lstm::LstmSteps;

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

    fn elements_mut(&mut self) -> ElementsMut<'_> {
        let layout = self.layout();
        let is_whole = layout.is_contiguous()
            && layout.start_offset() == 0
            && layout.num_elements() * self.dtype().size() == self.bytes().len();
        if !is_whole {
            *self = self.to_contiguous();
        }
        match self.dtype() {
            DType::F32 => ElementsMut::F32(self.storage_mut()),
            DType::F64 => ElementsMut::F64(self.storage_mut()),
            DType::F16 => ElementsMut::F16(self.storage_mut()),
            DType::BF16 => ElementsMut::Bf16(self.storage_mut()),
            other => panic!("a fused operation needs floating-point tensors, got {other:?}"),
        }
    }

    fn from_data(data: TensorData) -> Self {
        FlexTensor::from_data(data)
    }
}

kernels_in_memory!(Flex);
