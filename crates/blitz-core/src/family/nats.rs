//! A number of nats that is a sum over weights.

use burn::tensor::Tensor;

/// A quantity of a weight tensor in nats, such as its entropy: a sum over the weights, and what belongs to all of them
/// together.
///
/// Kept apart so that two large sums that nearly cancel, entropy and expected log density, are added weight by weight.
///
/// ```
/// use blitz_core::Nats;
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let of_weights = Nats::of_weights(Tensor::<2>::ones([2, 3], &device));
/// let with_a_constant = of_weights.and(Tensor::from_floats([0.5], &device));
/// assert_eq!(with_a_constant.total().into_scalar::<f32>(), 6.5);
/// ```
#[derive(Debug, Clone)]
pub struct Nats<const D: usize> {
    of_weights: Option<Tensor<D>>,
    joint: Option<Tensor<1>>,
}

impl<const D: usize> Nats<D> {
    /// One value for each weight.
    pub fn of_weights(values: Tensor<D>) -> Self {
        Self {
            of_weights: Some(values),
            joint: None,
        }
    }

    /// One value for the whole tensor, of shape `[1]`.
    pub fn of_tensor(value: Tensor<1>) -> Self {
        Self {
            of_weights: None,
            joint: Some(value),
        }
    }

    /// These, and a value for the whole tensor, of shape `[1]`.
    #[must_use]
    pub fn and(self, value: Tensor<1>) -> Self {
        Self {
            joint: Some(match self.joint {
                Some(joint) => joint + value,
                None => value,
            }),
            ..self
        }
    }

    /// These, and one value for each weight.
    #[must_use]
    pub fn and_of_weights(self, values: Tensor<D>) -> Self {
        Self {
            of_weights: Some(match self.of_weights {
                Some(of_weights) => of_weights + values,
                None => values,
            }),
            ..self
        }
    }

    /// The sum, of shape `[1]`.
    pub fn total(self) -> Tensor<1> {
        let sum = self.of_weights.map(Tensor::sum);
        match (sum, self.joint) {
            (Some(sum), Some(joint)) => sum + joint,
            (Some(value), None) | (None, Some(value)) => value,
            (None, None) => unreachable!("made with a part"),
        }
    }
}
