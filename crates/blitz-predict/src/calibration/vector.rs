//! Vector scaling: a scale and an offset for each class.

use serde::{Deserialize, Serialize};

use super::newton::{Expansion, minimise};
use crate::check;
use crate::distribution::softmax::{log_softmax, softmax};
use crate::error::{InputError, or_panic};

/// `softmax(a ∘ z + b)` (Guo et al. 2017).
///
/// Where single classes are too sure or too rare, it corrects each, and may change which is the most probable. It needs
/// many more held-out examples than [`TemperatureScaling`](super::TemperatureScaling): `2 · classes` numbers are fitted, by
/// Newton's method on the NLL, which is convex in them. The cost is of order `examples · classes² + classes³` a step: for
/// hundreds of classes, not for thousands.
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
pub struct VectorScaling {
    /// The scale a of each class.
    pub scale: Vec<f64>,
    /// The offset b of each class. They sum to zero, as a common offset changes nothing.
    pub offset: Vec<f64>,
}

impl VectorScaling {
    /// The scales and offsets of the largest likelihood, from logits in row-major order `[example, class]` that training has
    /// not seen.
    ///
    /// # Panics
    ///
    /// Panics without examples, unless there is one label below `classes` for each example, if a logit is not finite, or if
    /// the likelihood has no unique finite maximum: a class occurs in no label, its logit is the same for all examples, or
    /// some scales separate the labels without an error.
    pub fn fit(logits: &[f64], classes: usize, labels: &[usize]) -> Self {
        or_panic(Self::try_fit(logits, classes, labels))
    }

    /// As [`fit`](Self::fit), with an error in place of a panic.
    pub fn try_fit(logits: &[f64], classes: usize, labels: &[usize]) -> Result<Self, InputError> {
        check::logits(logits, classes, labels)?;
        if (0..classes).any(|class| !labels.contains(&class)) {
            return Err(InputError::NoOptimum {
                reason: "a class occurs in no label, so the lower its offset the better",
            });
        }
        let start = [vec![1.0; classes], vec![0.0; classes]].concat();
        let minimum = minimise(start, |parameters| expand(parameters, logits, labels));
        let Some(mut scale) = minimum else {
            return Err(InputError::NoOptimum {
                reason: "a class's logit is constant, or some scales separate the labels; use temperature scaling, or \
                         hold out more examples",
            });
        };
        let offset = scale.split_off(classes);
        Ok(Self { scale, offset })
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
    /// Panics unless the logits are finite and whole rows of the classes of the fit.
    pub fn apply(&self, logits: &[f64]) -> Vec<f64> {
        or_panic(self.try_apply(logits))
    }

    /// As [`apply`](Self::apply), with an error in place of a panic.
    pub fn try_apply(&self, logits: &[f64]) -> Result<Vec<f64>, InputError> {
        let classes = self.scale.len();
        check::rows(logits.len(), classes)?;
        check::finite(logits, "logit")?;
        Ok(softmax(self.scale(logits), classes))
    }
}

/// The NLL, and `½ (Σ b)²`: the offsets' common part, of which the NLL is independent, is so held at zero.
fn expand(parameters: &[f64], logits: &[f64], labels: &[usize]) -> Expansion {
    let len = parameters.len();
    let classes = len / 2;
    let (scale, offset) = parameters.split_at(classes);
    let mut nll = Expansion::zero(len);
    let mut p = vec![0.0; classes];
    // What a logit's scale and offset multiply: itself and 1.
    let mut input = vec![1.0; len];
    for (row, label) in logits.chunks(classes).zip(labels) {
        for (class, z) in row.iter().enumerate() {
            p[class] = scale[class] * z + offset[class];
        }
        log_softmax(&mut p);
        nll.value -= p[*label];
        for log_p in &mut p {
            *log_p = log_p.exp();
        }
        input[..classes].copy_from_slice(row);
        for i in 0..len {
            let p_i = p[i % classes];
            let indicator = f64::from(u8::from(i % classes == *label));
            nll.gradient[i] += (p_i - indicator) * input[i];
            // The lower triangle is all that is read.
            for j in 0..=i {
                let same = f64::from(u8::from(i % classes == j % classes));
                nll.hessian[i * len + j] += p_i * (same - p[j % classes]) * input[i] * input[j];
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
