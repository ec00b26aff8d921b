//! Vector scaling: a scale and an offset for each class.

use serde::{Deserialize, Serialize};

use super::newton::{Expansion, minimise};
use crate::check;
use crate::distribution::softmax::{log_softmax, softmax};
use crate::error::{InputError, or_panic};
use crate::numbers::{exponent, times_power_of_two};

/// `softmax(a ∘ z + b)` (Guo et al. 2017).
///
/// Where single classes are too sure or too rare, it corrects each, and may change which is the most probable. It needs
/// many more held-out examples than [`TemperatureScaling`](super::TemperatureScaling): `2 · classes` numbers are
/// fitted, by Newton's method on the NLL, which is convex in them. A class's logits may be of any size: c times as
/// large, they have 1/c times the scale. The cost is of order `examples · classes² + classes³` a step: for hundreds of
/// classes, not for thousands.
///
/// ```
/// use blitz_predict::calibration::VectorScaling;
///
/// // Three logit vectors, with labels three to one, one to two and one to one: three equations, met exactly.
/// let logits = [[2.0, 1.0].repeat(4), [1.0, 3.0].repeat(3), [0.0, 0.5].repeat(2)].concat();
/// let labels = [0, 0, 0, 1, 0, 1, 1, 0, 1];
/// let scaling = VectorScaling::fit(&logits, 2, &labels);
/// let p = scaling.apply(&[2.0, 1.0]);
/// assert!((p[0] - 0.75).abs() < 1e-9);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct VectorScaling {
    /// The scale a of each class.
    pub scale: Vec<f64>,
    /// The offset b of each class. They sum to zero, as a common offset changes nothing.
    pub offset: Vec<f64>,
}

/// What a file says: a fit only once it is checked.
#[derive(Deserialize)]
struct Stored {
    scale: Vec<f64>,
    offset: Vec<f64>,
}

impl TryFrom<Stored> for VectorScaling {
    type Error = InputError;

    fn try_from(Stored { scale, offset }: Stored) -> Result<Self, InputError> {
        check::not_empty(scale.len(), "class")?;
        if scale.len() != offset.len() {
            return Err(InputError::Length {
                expected_of: "scales",
                expected: scale.len(),
                what: "offsets",
                got: offset.len(),
            });
        }
        check::finite(&scale, "scale")?;
        check::finite(&offset, "offset")?;
        Ok(Self { scale, offset })
    }
}

impl VectorScaling {
    /// The scales and offsets of the largest likelihood, from logits in row-major order `[example, class]` that
    /// training has not seen.
    ///
    /// # Panics
    ///
    /// Panics without examples, unless there is one label below `classes` for each example, if a logit is not finite,
    /// or if the likelihood has no unique finite maximum: a class occurs in no label, its logit is the same for all
    /// examples (to 1e-13), or some scales separate the labels without an error.
    pub fn fit(logits: &[f64], classes: usize, labels: &[usize]) -> Self {
        or_panic(Self::try_fit(logits, classes, labels))
    }

    /// As [`fit`](Self::fit), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// Without examples, unless there is one label below `classes` for each example, if a logit is not finite, or if
    /// the likelihood has no unique finite maximum: a class occurs in no label, its logit is the same for all examples
    /// (to 1e-13), or some scales separate the labels without an error.
    pub fn try_fit(logits: &[f64], classes: usize, labels: &[usize]) -> Result<Self, InputError> {
        check::logits(logits, classes, labels)?;
        if (0..classes).any(|class| !labels.contains(&class)) {
            return Err(InputError::NoOptimum {
                reason: "a class occurs in no label, so the lower its offset the better",
            });
        }
        let columns: Option<Vec<Column>> = (0..classes)
            .map(|class| Column::of(logits.iter().skip(class).step_by(classes)))
            .collect();
        let Some(columns) = columns else {
            return Err(InputError::NoOptimum {
                reason: "a class's logit is the same for all examples; use temperature scaling",
            });
        };
        let inputs: Vec<f64> = logits
            .chunks(classes)
            .flat_map(|row| columns.iter().zip(row).map(|(column, z)| column.input(*z)))
            .collect();
        // Equal probabilities: a start that no scale of the logits moves, and far from where the likelihood is flat.
        let minimum = minimise(vec![0.0; 2 * classes], |parameters| {
            expand(parameters, &inputs, labels)
        });
        let Some(mut scale) = minimum else {
            return Err(InputError::NoOptimum {
                reason: "some scales separate the labels, or the logits of the classes determine each other; use \
                         temperature scaling, or hold out more examples",
            });
        };
        let mut offset = scale.split_off(classes);
        for ((scale, offset), column) in scale.iter_mut().zip(&mut offset).zip(&columns) {
            (*scale, *offset) = column.undo(*scale, *offset);
        }
        let common = offset.iter().sum::<f64>() / classes as f64;
        for offset in &mut offset {
            *offset -= common;
        }
        if scale.iter().chain(&offset).all(|number| number.is_finite()) {
            return Ok(Self { scale, offset });
        }
        Err(InputError::NoOptimum {
            reason: "it lies at scales beyond the numbers of f64",
        })
    }

    /// The logits scaled and shifted.
    ///
    /// # Panics
    ///
    /// Panics unless they are whole rows of the classes of the fit.
    pub fn scale(&self, logits: &[f64]) -> Vec<f64> {
        or_panic(check::rows(logits.len(), self.scale.len()));
        let parameters = self.scale.iter().zip(&self.offset).cycle();
        let scaled = logits.iter().zip(parameters);
        scaled.map(|(z, (a, b))| a * z + b).collect()
    }

    /// The calibrated probabilities, in row-major order `[example, class]` as the logits.
    ///
    /// # Panics
    ///
    /// Panics unless the logits are finite and whole rows of the classes of the fit, or if a scaled logit overflows.
    pub fn apply(&self, logits: &[f64]) -> Vec<f64> {
        or_panic(self.try_apply(logits))
    }

    /// As [`apply`](Self::apply), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// Unless the logits are finite and whole rows of the classes of the fit, or if a scaled logit overflows.
    pub fn try_apply(&self, logits: &[f64]) -> Result<Vec<f64>, InputError> {
        let classes = self.scale.len();
        check::rows(logits.len(), classes)?;
        check::finite(logits, "logit")?;
        let scaled = self.scale(logits);
        check::finite(&scaled, "scaled logit")?;
        Ok(softmax(scaled, classes))
    }
}

/// A class's logits, in units of which they are of order 1 about 0: `z = 2ᵏ (middle + 2ʷ input)`.
struct Column {
    k: i32,
    middle: f64,
    w: i32,
}

/// Below this share of its size, what a logit varies by is rounding.
const CONSTANT: f64 = 1e-13;

impl Column {
    /// None if the logit is the same for all examples.
    fn of<'a>(logits: impl Iterator<Item = &'a f64>) -> Option<Self> {
        let mut values: Vec<f64> = logits.copied().collect();
        let k = exponent(&values)?;
        for z in &mut values {
            *z = times_power_of_two(*z, -k);
        }
        let middle = values.iter().sum::<f64>() / values.len() as f64;
        for z in &mut values {
            *z -= middle;
        }
        let spread = values.iter().fold(0.0, |most: f64, z| most.max(z.abs()));
        if spread <= CONSTANT {
            return None;
        }
        let w = exponent(&values)?;
        Some(Self { k, middle, w })
    }

    fn input(&self, z: f64) -> f64 {
        times_power_of_two(times_power_of_two(z, -self.k) - self.middle, -self.w)
    }

    /// The scale and the offset of the logit, from those of its input.
    fn undo(&self, scale: f64, offset: f64) -> (f64, f64) {
        let of_middle = times_power_of_two(scale, -self.w) * self.middle;
        let scale = times_power_of_two(scale, -(self.k + self.w));
        (scale, offset - of_middle)
    }
}

/// The NLL, and `½ (Σ b)²`: the offsets' common part, of which the NLL is independent, is so held at zero.
fn expand(parameters: &[f64], inputs: &[f64], labels: &[usize]) -> Expansion {
    let len = parameters.len();
    let classes = len / 2;
    let (scale, offset) = parameters.split_at(classes);
    let mut nll = Expansion::zero(len);
    let (mut p, mut others) = (vec![0.0; classes], vec![0.0; classes]);
    // What a class's scale and offset multiply: its input and 1.
    let mut factor = vec![1.0; len];
    for (row, label) in inputs.chunks(classes).zip(labels) {
        for (class, x) in row.iter().enumerate() {
            p[class] = scale[class] * x + offset[class];
        }
        log_softmax(&mut p);
        nll.value -= p[*label];
        for log_p in &mut p {
            *log_p = log_p.exp();
        }
        complements(&p, &mut others);
        factor[..classes].copy_from_slice(row);
        for i in 0..len {
            let class = i % classes;
            let residual = if class == *label {
                -others[class]
            } else {
                p[class]
            };
            nll.gradient[i] += residual * factor[i];
            // The lower triangle is all that is read.
            for j in 0..=i {
                let other = j % classes;
                let covariance = if class == other {
                    others[class]
                } else {
                    -p[other]
                };
                nll.hessian[i * len + j] += p[class] * covariance * factor[i] * factor[j];
            }
        }
    }
    let common: f64 = offset.iter().sum();
    nll.value += 0.5 * common * common;
    for i in classes..len {
        nll.gradient[i] += common;
        for j in classes..=i {
            nll.hessian[i * len + j] += 1.0;
        }
    }
    nll
}

/// `1 − p` of each class, from the other classes where the difference would have no digits left.
fn complements(p: &[f64], complements: &mut [f64]) {
    for (class, complement) in complements.iter_mut().enumerate() {
        *complement = if p[class] <= 0.5 {
            1.0 - p[class]
        } else {
            p[..class].iter().chain(&p[class + 1..]).sum()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::super::newton::assert_derivatives;
    use super::*;

    #[test]
    fn derivatives_are_those_of_the_value() {
        let inputs: Vec<f64> = (0..12).map(|i| (1.7 * f64::from(i)).sin()).collect();
        let parameters: Vec<f64> = (0..6).map(|i| (0.9 * f64::from(i)).cos()).collect();
        assert_derivatives(|at| expand(at, &inputs, &[0, 2, 1, 1]), &parameters);
    }
}
