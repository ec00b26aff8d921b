//! The fused operations on NdArray.
#![allow(deprecated)] // ndarray stays supported here.

use std::borrow::Cow;

use burn::backend::NdArray;
use burn::backend::ndarray::NdArrayTensor;
use burn::backend::tensor::FloatTensor;
use burn::tensor::TensorData;

use super::{Elements, ElementsMut, Memory, kernels_in_memory};
use crate::kernels::convolution::Window;
use crate::kernels::formula::{AdamStep, IvonStep, Map, Rectified, Sum};
use crate::kernels::lstm::LstmSteps;

impl Memory for NdArrayTensor {
    fn elements(&self) -> Elements<'_> {
        macro_rules! elements {
            ($storage:expr) => {{
                let view = $storage.view();
                match view.to_slice() {
                    Some(elements) => Cow::Borrowed(elements),
                    None => Cow::Owned(view.iter().copied().collect()),
                }
            }};
        }
        match self {
            Self::F32(storage) => Elements::F32(elements!(storage)),
            Self::F64(storage) => Elements::F64(elements!(storage)),
            other => panic!("a fused operation needs floating-point tensors, got {other:?}"),
        }
    }

    fn elements_mut(&mut self) -> ElementsMut<'_> {
        macro_rules! elements {
            ($storage:expr) => {{
                let array = $storage.ensure_owned();
                if !array.is_standard_layout() {
                    *array = array.as_standard_layout().into_owned().into_shared();
                }
                match array.as_slice_mut() {
                    Some(elements) => elements,
                    None => unreachable!("in standard layout"),
                }
            }};
        }
        match self {
            Self::F32(storage) => ElementsMut::F32(elements!(storage)),
            Self::F64(storage) => ElementsMut::F64(elements!(storage)),
            other => panic!("a fused operation needs floating-point tensors, got {other:?}"),
        }
    }

    fn from_data(data: TensorData) -> Self {
        NdArrayTensor::from_data(data)
    }
}

kernels_in_memory!(NdArray);
