//! A `Linear` as rows of numbers: for each output its weights, then the bias.

use burn::module::{Param, ParamId};
use burn::nn::Linear;
use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::super::error::LaplaceError;
use super::super::numbers::host;

/// The shape of a layer, and the type of its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LayerShape {
    pub(super) d_input: usize,
    pub(super) outputs: usize,
    pub(super) bias: bool,
    /// `f32` if it is not said: what was saved before types were.
    #[serde(default = "single")]
    pub(super) dtype: FloatDType,
}

fn single() -> FloatDType {
    FloatDType::F32
}

impl LayerShape {
    /// The weights of one output.
    pub(super) fn row(&self) -> usize {
        self.d_input + usize::from(self.bias)
    }

    pub(super) fn parameters(&self) -> usize {
        self.row() * self.outputs
    }

    /// The layer's shape, its type and its weights, output after output.
    pub(super) fn read(layer: &Linear) -> Result<(Self, Vec<f64>), LaplaceError> {
        let weight = layer.weight.val();
        let bias = layer.bias.as_ref().map(|bias| bias.val());
        let in_floats = |dtype: DType| match dtype.is_float() {
            true => Ok(dtype),
            false => Err(LaplaceError::Quantized),
        };
        if let Some(bias) = &bias {
            in_floats(bias.dtype())?;
        }
        let dtype = in_floats(weight.dtype())?.into();
        let [d_input, outputs] = weight.dims();
        let bias = bias.map(host);
        let shape = Self {
            d_input,
            outputs,
            bias: bias.is_some(),
            dtype,
        };
        let weight = host(weight);
        let mut rows = Vec::with_capacity(shape.parameters());
        for output in 0..outputs {
            rows.extend((0..d_input).map(|i| weight[i * outputs + output]));
            rows.extend(bias.as_ref().map(|bias| bias[output]));
        }
        Ok((shape, rows))
    }

    /// The layer of such weights, in the type of the layer that was read.
    pub(super) fn write(&self, rows: &[f64], device: &Device) -> Linear {
        let (row, outputs) = (self.row(), self.outputs);
        let options = (device, DType::from(self.dtype));
        let at = |i: usize, output: usize| rows[output * row + i];
        let weight: Vec<f64> = (0..self.d_input)
            .flat_map(|i| (0..outputs).map(move |output| at(i, output)))
            .collect();
        let weight =
            Tensor::<2>::from_data(TensorData::new(weight, [self.d_input, outputs]), options);
        let bias = self.bias.then(|| {
            let bias: Vec<f64> = (0..outputs)
                .map(|output| at(self.d_input, output))
                .collect();
            let bias = Tensor::<1>::from_data(TensorData::new(bias, [outputs]), options);
            Param::initialized(ParamId::new(), bias)
        });
        Linear {
            weight: Param::initialized(ParamId::new(), weight),
            bias,
        }
    }

    /// Features as the layer's weights meet them: then a 1 for the bias.
    ///
    /// # Panics
    ///
    /// Panics unless there are `d_input` features, all of them finite: a NaN would be the probability of every class,
    /// and no error.
    #[track_caller]
    pub(super) fn phi(&self, features: &[f64]) -> Vec<f64> {
        assert_eq!(
            features.len(),
            self.d_input,
            "the layer takes {} features, got {}",
            self.d_input,
            features.len()
        );
        if let Some(at) = features.iter().position(|feature| !feature.is_finite()) {
            panic!(
                "the layer takes finite features, feature {at} is {}",
                features[at]
            );
        }
        let one = self.bias.then_some(1.0);
        features.iter().copied().chain(one).collect()
    }
}
