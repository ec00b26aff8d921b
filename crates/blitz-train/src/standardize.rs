//! Tensors at mean 0 and deviation 1, and back.

use blitz_predict::{InputError, Standardizer};
use burn::tensor::{DType, FloatDType, Tensor, TensorData};

/// What a [`Standardizer`] does with tensors: the last dimension holds the columns. A tensor of one dimension is one
/// column; beside a standardizer of several columns it is one row.
///
/// ```
/// use blitz_train::prelude::*;
/// use burn::tensor::{Device, Tensor};
///
/// let x = Tensor::<2>::from_floats([[1.0, 40.0], [3.0, 80.0]], &Device::flex());
/// let scale = Standardizer::fit_tensor(&x);
/// let z = scale.transform_tensor(x.clone());
/// assert_eq!(z.to_data().to_vec::<f32>().unwrap(), [-1.0, -1.0, 1.0, 1.0]);
/// scale.inverse_tensor(z).to_data().assert_eq(&x.to_data(), true);
/// ```
///
/// They are computed in `f32` at least, of `f64` in that, and come back in the type they had. A tensor of `f32` has
/// seven digits: of a column like `1e9 + 1, 1e9 + 2` it has lost what tells the rows apart, and
/// [`Standardizer::transform`] over `f64` has not.
pub trait StandardizeTensor: Sized {
    /// Fits each column, over all other dimensions; the one that a tensor of one dimension is.
    ///
    /// # Panics
    ///
    /// Panics without rows or columns, if a value is NaN or infinite, or if a column's variance is beyond the numbers.
    #[must_use]
    fn fit_tensor<const D: usize>(values: &Tensor<D>) -> Self;

    /// As [`fit_tensor`](Self::fit_tensor), with an error in place of a panic.
    fn try_fit_tensor<const D: usize>(values: &Tensor<D>) -> Result<Self, InputError>;

    /// `(x − mean) / std`. NaN stays NaN: a tensor is not read back to look.
    ///
    /// # Panics
    ///
    /// Panics unless the last dimension is that of the columns, or the tensor is the only column.
    #[must_use]
    fn transform_tensor<const D: usize>(&self, values: Tensor<D>) -> Tensor<D>;

    /// `z · std + mean`.
    ///
    /// # Panics
    ///
    /// Panics unless the last dimension is that of the columns, or the tensor is the only column.
    #[must_use]
    fn inverse_tensor<const D: usize>(&self, values: Tensor<D>) -> Tensor<D>;
}

impl StandardizeTensor for Standardizer {
    fn fit_tensor<const D: usize>(values: &Tensor<D>) -> Self {
        match Self::try_fit_tensor(values) {
            Ok(standardizer) => standardizer,
            Err(error) => panic!("{error}"),
        }
    }

    fn try_fit_tensor<const D: usize>(values: &Tensor<D>) -> Result<Self, InputError> {
        let columns = match D {
            1 => 1,
            _ => values.dims()[D - 1],
        };
        let values: Vec<f64> = values.to_data().iter::<f64>().collect();
        Self::try_fit(&values, columns)
    }

    fn transform_tensor<const D: usize>(&self, values: Tensor<D>) -> Tensor<D> {
        let row = Row::of(self, &values);
        let (mean, rest) = row.mean();
        // The mean in two parts: rounded to one number, it would be off by a whole step of `values`.
        let centred = row.widened(values) - mean - rest;
        row.narrowed(centred / row.std())
    }

    fn inverse_tensor<const D: usize>(&self, values: Tensor<D>) -> Tensor<D> {
        let row = Row::of(self, &values);
        let (mean, rest) = row.mean();
        let scaled = row.widened(values) * row.std();
        row.narrowed(scaled + rest + mean)
    }
}

/// The numbers of a standardizer beside tensors of a type, on their device.
struct Row<'a, const D: usize> {
    standardizer: &'a Standardizer,
    like: Tensor<D>,
    working: FloatDType,
}

impl<'a, const D: usize> Row<'a, D> {
    fn of(standardizer: &'a Standardizer, values: &Tensor<D>) -> Self {
        let (columns, expected) = (values.dims()[D - 1], standardizer.columns());
        assert!(
            columns == expected || D == 1 && expected == 1,
            "a standardizer of {expected} columns needs them as the last dimension, got {:?}",
            values.dims()
        );
        Self {
            standardizer,
            like: values.clone(),
            working: match values.dtype() {
                DType::F64 => FloatDType::F64,
                _ => FloatDType::F32,
            },
        }
    }

    fn widened(&self, values: Tensor<D>) -> Tensor<D> {
        values.cast(self.working)
    }

    fn narrowed(&self, values: Tensor<D>) -> Tensor<D> {
        values.cast(self.like.dtype())
    }

    /// The mean as the working type has it, and what is left of it.
    fn mean(&self) -> (Tensor<D>, Tensor<D>) {
        let mean = &self.standardizer.mean;
        let rounded: Vec<f64> = match self.working {
            FloatDType::F64 => mean.clone(),
            _ => mean.iter().map(|mean| f64::from(*mean as f32)).collect(),
        };
        let rest = mean.iter().zip(&rounded).map(|(m, r)| m - r).collect();
        (self.tensor(rounded), self.tensor(rest))
    }

    fn std(&self) -> Tensor<D> {
        self.tensor(self.standardizer.std.clone())
    }

    fn tensor(&self, row: Vec<f64>) -> Tensor<D> {
        let mut shape = [1; D];
        shape[D - 1] = row.len();
        let dtype: DType = self.working.into();
        Tensor::from_data(TensorData::new(row, shape), (&self.like.device(), dtype))
    }
}
