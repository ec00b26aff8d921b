//! Matrix scaling and Dirichlet calibration: every class's logit from those of all.

use serde::{Deserialize, Serialize};

use super::newton::{Expansion, minimise};
use crate::check;
use crate::distribution::softmax::{log_softmax, softmax};
use crate::error::{InputError, or_panic};
use crate::numbers::{exponent, times_power_of_two};

/// The curvature has `(C(C + 1))²` numbers: for 64 classes 140 MB, for 1000 a million times a million.
const MAX_CLASSES: usize = 64;

/// Configuration of [`MatrixScaling`] and [`DirichletCalibration`]: the penalties that hold off-diagonal weights and
/// offsets near zero (ODIR; Kull et al. 2019).
///
/// What is minimized is `NLL + λ/(C(C−1)) Σ_{i≠j} W_ij² + μ/C Σ_i b_i²`, with the mean NLL of the examples, in nats.
///
/// | field | default | meaning | range |
/// |---|---|---|---|
/// | `off_diagonal` | 0 | λ: the larger, the less do the logits of other classes count | ≥ 0 |
/// | `offset` | 0 | μ: the larger, the smaller the offsets | ≥ 0 |
///
/// Kull et al. choose both by cross-validation, among powers of ten from 10⁻⁷ up.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct MatrixScalingConfig {
    /// The weight λ of the mean squared off-diagonal entry.
    pub off_diagonal: f64,
    /// The weight μ of the mean squared offset.
    pub offset: f64,
}

impl MatrixScalingConfig {
    /// Without penalties.
    pub fn new() -> Self {
        Self::default()
    }

    /// With the penalty λ on off-diagonal weights.
    #[must_use]
    pub fn with_off_diagonal(mut self, off_diagonal: f64) -> Self {
        self.off_diagonal = off_diagonal;
        self
    }

    /// With the penalty μ on offsets.
    #[must_use]
    pub fn with_offset(mut self, offset: f64) -> Self {
        self.offset = offset;
        self
    }

    /// The [`MatrixScaling`] of least penalized NLL, from logits in row-major order `[example, class]` that training
    /// has not seen.
    ///
    /// # Panics
    ///
    /// Panics without examples, with more than 64 classes, unless there is one label below `classes` for each example,
    /// if a logit is not finite, if a penalty is negative or not finite, or if there is no unique finite minimum: a
    /// class occurs in no label and offsets have no penalty, or some weights separate the labels without an error. A
    /// penalty on both makes one wherever the diagonal is determined.
    pub fn fit(&self, logits: &[f64], classes: usize, labels: &[usize]) -> MatrixScaling {
        or_panic(self.try_fit(logits, classes, labels))
    }

    /// As [`fit`](Self::fit), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// Without examples, with more than 64 classes, unless there is one label below `classes` for each example, if a
    /// logit is not finite, if a penalty is negative or not finite, or if there is no unique finite minimum: a class
    /// occurs in no label and offsets have no penalty, or some weights separate the labels without an error. A penalty
    /// on both makes one wherever the diagonal is determined.
    pub fn try_fit(
        &self,
        logits: &[f64],
        classes: usize,
        labels: &[usize],
    ) -> Result<MatrixScaling, InputError> {
        check::logits(logits, classes, labels)?;
        self.check()?;
        if classes > MAX_CLASSES {
            return Err(InputError::Setting {
                what: "the number of classes",
                value: classes as f64,
                range: "at most 64 (vector scaling takes more)",
            });
        }
        if self.offset == 0.0 && (0..classes).any(|class| !labels.contains(&class)) {
            return Err(InputError::NoOptimum {
                reason: "a class occurs in no label, so the lower its offset the better",
            });
        }
        // Of order 1: logits of any size have the weights of their size.
        let size = exponent(logits).unwrap_or(0);
        let inputs: Vec<f64> = logits
            .iter()
            .map(|z| times_power_of_two(*z, -size))
            .collect();
        let objective = Objective {
            classes,
            inputs: &inputs,
            labels,
            off_diagonal: times_power_of_two(self.off_diagonal, -2 * size),
            offset: self.offset,
        };
        // Equal probabilities, from where no class is sure.
        let start = vec![0.0; classes * (classes + 1)];
        let Some(minimum) = minimise(start, |parameters| objective.expand(parameters)) else {
            return Err(InputError::NoOptimum {
                reason: "some weights separate the labels, or the logits of the classes determine each other; \
                         penalize off-diagonal weights and offsets, use vector scaling, or hold out more examples",
            });
        };
        let (mut weight, mut offset) = (Vec::with_capacity(classes * classes), Vec::new());
        for row in minimum.chunks(classes + 1) {
            weight.extend(row[..classes].iter().map(|w| times_power_of_two(*w, -size)));
            offset.push(row[classes]);
        }
        if weight
            .iter()
            .chain(&offset)
            .all(|number| number.is_finite())
        {
            return Ok(MatrixScaling { weight, offset });
        }
        Err(InputError::NoOptimum {
            reason: "it lies at weights beyond the numbers of f64",
        })
    }

    /// The [`DirichletCalibration`] of least penalized NLL; as [`fit`](Self::fit), of logits or of logarithms of
    /// probabilities.
    ///
    /// # Panics
    ///
    /// As [`fit`](Self::fit).
    pub fn fit_dirichlet(
        &self,
        logits: &[f64],
        classes: usize,
        labels: &[usize],
    ) -> DirichletCalibration {
        or_panic(self.try_fit_dirichlet(logits, classes, labels))
    }

    /// As [`fit_dirichlet`](Self::fit_dirichlet), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// As [`try_fit`](Self::try_fit).
    pub fn try_fit_dirichlet(
        &self,
        logits: &[f64],
        classes: usize,
        labels: &[usize],
    ) -> Result<DirichletCalibration, InputError> {
        check::logits(logits, classes, labels)?;
        let scaling = self.try_fit(&log_probabilities(logits, classes)?, classes, labels)?;
        Ok(DirichletCalibration { scaling })
    }

    fn check(&self) -> Result<(), InputError> {
        check::penalty("a penalty on off-diagonal weights", self.off_diagonal)?;
        check::penalty("a penalty on offsets", self.offset)
    }
}

/// `softmax(W z + b)` (Guo et al. 2017).
///
/// Where classes are taken for each other, it corrects that, too: a class may gain from the logit of another. `classes² +
/// classes` numbers are fitted by Newton's method on the NLL, which is convex in them, so it needs hundreds of held-out
/// examples for each class, or the penalties of [`MatrixScalingConfig`]. The cost is of order `examples · classes⁴ +
/// classes⁶` a step: for a dozen or two of classes, and for no more than 64.
///
/// ```
/// use blitz_predict::calibration::MatrixScalingConfig;
///
/// // Three logit vectors, with labels three to one, one to two and one to one: met exactly.
/// let logits = [[2.0, 1.0].repeat(4), [1.0, 3.0].repeat(3), [0.0, 0.5].repeat(2)].concat();
/// let labels = [0, 0, 0, 1, 0, 1, 1, 0, 1];
/// let scaling = MatrixScalingConfig::new().fit(&logits, 2, &labels);
/// assert!((scaling.apply(&[2.0, 1.0])[0] - 0.75).abs() < 1e-9);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct MatrixScaling {
    /// The weights W, in row-major order `[to class, from class]`. Fitted without a penalty on them, each column sums
    /// to 0, as a common part of it changes nothing.
    pub weight: Vec<f64>,
    /// The offset b of each class. They sum to zero.
    pub offset: Vec<f64>,
}

/// What a file says: a fit only once it is checked.
#[derive(Serialize, Deserialize)]
struct Stored {
    weight: Vec<f64>,
    offset: Vec<f64>,
    /// Files of before don't say it.
    #[serde(default)]
    of: Option<Inputs>,
}

/// What the weights are multiplied by: all that tells the two kinds of fits apart in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Inputs {
    Logits,
    LogProbabilities,
}

impl Stored {
    fn new(scaling: MatrixScaling, of: Inputs) -> Self {
        let MatrixScaling { weight, offset } = scaling;
        Self {
            weight,
            offset,
            of: Some(of),
        }
    }

    /// The fit, if it is one of `inputs`.
    fn of(self, inputs: Inputs) -> Result<MatrixScaling, StoredError> {
        match self.of {
            Some(of) if of != inputs => Err(match of {
                Inputs::Logits => StoredError::Matrix,
                Inputs::LogProbabilities => StoredError::Dirichlet,
            }),
            _ => Ok(MatrixScaling::checked(self.weight, self.offset)?),
        }
    }
}

/// Why a file has no fit of the kind that is asked for.
#[derive(Debug, thiserror::Error)]
enum StoredError {
    #[error("it is a matrix scaling, of logits, and no Dirichlet calibration")]
    Matrix,
    #[error("it is a Dirichlet calibration, of log probabilities, and no matrix scaling")]
    Dirichlet,
    #[error(transparent)]
    Input(#[from] InputError),
}

impl TryFrom<Stored> for MatrixScaling {
    type Error = StoredError;

    fn try_from(stored: Stored) -> Result<Self, StoredError> {
        stored.of(Inputs::Logits)
    }
}

impl From<MatrixScaling> for Stored {
    fn from(scaling: MatrixScaling) -> Self {
        Self::new(scaling, Inputs::Logits)
    }
}

impl TryFrom<Stored> for DirichletCalibration {
    type Error = StoredError;

    fn try_from(stored: Stored) -> Result<Self, StoredError> {
        let scaling = stored.of(Inputs::LogProbabilities)?;
        Ok(Self { scaling })
    }
}

impl From<DirichletCalibration> for Stored {
    fn from(DirichletCalibration { scaling }: DirichletCalibration) -> Self {
        Self::new(scaling, Inputs::LogProbabilities)
    }
}

impl MatrixScaling {
    fn checked(weight: Vec<f64>, offset: Vec<f64>) -> Result<Self, InputError> {
        check::not_empty(offset.len(), "class")?;
        if weight.len() != offset.len() * offset.len() {
            return Err(InputError::Length {
                expected_of: "weights, the square of the number of offsets,",
                expected: offset.len() * offset.len(),
                what: "weights",
                got: weight.len(),
            });
        }
        check::finite(&weight, "weight")?;
        check::finite(&offset, "offset")?;
        Ok(Self { weight, offset })
    }

    /// `W z + b` of each row.
    ///
    /// # Panics
    ///
    /// Panics unless the logits are whole rows of the classes of the fit.
    pub fn scale(&self, logits: &[f64]) -> Vec<f64> {
        let classes = self.offset.len();
        or_panic(check::rows(logits.len(), classes));
        let mut scaled = Vec::with_capacity(logits.len());
        for z in logits.chunks(classes) {
            let rows = self.weight.chunks(classes).zip(&self.offset);
            scaled.extend(rows.map(|(w, b)| dot(w, z) + b));
        }
        scaled
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
        let classes = self.offset.len();
        check::rows(logits.len(), classes)?;
        check::finite(logits, "logit")?;
        let scaled = self.scale(logits);
        check::finite(&scaled, "scaled logit")?;
        Ok(softmax(scaled, classes))
    }
}

/// `softmax(W ln p + b)`: [`MatrixScaling`] of log probabilities (Kull et al. 2019).
///
/// It is the exact correction where the probabilities of each class's examples are Dirichlet distributed. Unlike matrix
/// scaling it does not depend on what is common to the logits of an example, and so on the network's last layer: log
/// probabilities of a mixture, `ln p(y | x)`, do as well. Fitted by
/// [`MatrixScalingConfig::fit_dirichlet`]; with `C` classes, penalties should hold the `C²` weights unless there are hundreds of examples for each class.
///
/// ```
/// use blitz_predict::calibration::MatrixScalingConfig;
///
/// let logits = [[2.0, 1.0].repeat(4), [1.0, 3.0].repeat(3)].concat();
/// let labels = [0, 0, 0, 1, 0, 1, 1];
/// let config = MatrixScalingConfig::new().with_off_diagonal(1e-3).with_offset(1e-3);
/// let fit = config.fit_dirichlet(&logits, 2, &labels);
/// let p = fit.apply(&[2.0, 1.0, 7.0, 6.0]);
/// assert!((p[0] - 0.75).abs() < 0.01);
/// // An offset of both logits changes nothing.
/// assert!((p[0] - p[2]).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct DirichletCalibration {
    /// What is done with the log probabilities.
    pub scaling: MatrixScaling,
}

impl DirichletCalibration {
    /// The calibrated probabilities of logits, or of logarithms of probabilities, in row-major order `[example,
    /// class]`.
    ///
    /// # Panics
    ///
    /// Panics unless they are finite and whole rows of the classes of the fit, or if a scaled one overflows.
    pub fn apply(&self, logits: &[f64]) -> Vec<f64> {
        or_panic(self.try_apply(logits))
    }

    /// As [`apply`](Self::apply), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// Unless they are finite and whole rows of the classes of the fit, or if a scaled one overflows.
    pub fn try_apply(&self, logits: &[f64]) -> Result<Vec<f64>, InputError> {
        let classes = self.scaling.offset.len();
        check::rows(logits.len(), classes)?;
        check::finite(logits, "logit")?;
        self.scaling.try_apply(&log_probabilities(logits, classes)?)
    }
}

fn log_probabilities(logits: &[f64], classes: usize) -> Result<Vec<f64>, InputError> {
    let mut log_p = logits.to_vec();
    log_p.chunks_mut(classes).for_each(log_softmax);
    check::finite(&log_p, "log probability")?;
    Ok(log_p)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The penalized mean NLL as a function of `[W | b]`, row by row.
struct Objective<'a> {
    classes: usize,
    inputs: &'a [f64],
    labels: &'a [usize],
    off_diagonal: f64,
    offset: f64,
}

impl Objective<'_> {
    fn expand(&self, parameters: &[f64]) -> Expansion {
        let (classes, width) = (self.classes, self.classes + 1);
        let len = parameters.len();
        let share = 1.0 / self.labels.len() as f64;
        let mut nll = Expansion::zero(len);
        let mut p = vec![0.0; classes];
        let mut x = vec![1.0; width];
        for (row, label) in self.inputs.chunks(classes).zip(self.labels) {
            x[..classes].copy_from_slice(row);
            for (p, weights) in p.iter_mut().zip(parameters.chunks(width)) {
                *p = dot(weights, &x);
            }
            log_softmax(&mut p);
            nll.value -= share * p[*label];
            p.iter_mut().for_each(|log_p| *log_p = log_p.exp());
            for to in 0..classes {
                let residual = p[to] - f64::from(u8::from(to == *label));
                for (i, x_i) in x.iter().enumerate() {
                    nll.gradient[to * width + i] += share * residual * x_i;
                }
                // The lower triangle is all that is read.
                for other in 0..=to {
                    let same = f64::from(u8::from(to == other));
                    let curvature = share * p[to] * (same - p[other]);
                    for (i, x_i) in x.iter().enumerate() {
                        let start = (to * width + i) * len + other * width;
                        let line = &mut nll.hessian[start..start + width];
                        for (h, x_j) in line.iter_mut().zip(&x) {
                            *h += curvature * x_i * x_j;
                        }
                    }
                }
            }
        }
        self.penalize(parameters, &mut nll);
        nll
    }

    /// The penalties. Where there is none, `½ (Σ_i θ_ij)²` holds at zero what is common to a column, of which the NLL
    /// is independent.
    fn penalize(&self, parameters: &[f64], nll: &mut Expansion) {
        let (classes, width) = (self.classes, self.classes + 1);
        let len = parameters.len();
        let pairs = (classes * classes.saturating_sub(1)).max(1) as f64;
        for column in 0..width {
            let of_offsets = column == classes;
            let strength = if of_offsets {
                2.0 * self.offset / classes as f64
            } else {
                2.0 * self.off_diagonal / pairs
            };
            let entries: Vec<usize> = (0..classes).map(|row| row * width + column).collect();
            if strength == 0.0 {
                let common: f64 = entries.iter().map(|i| parameters[*i]).sum();
                nll.value += 0.5 * common * common;
                for (row, i) in entries.iter().enumerate() {
                    nll.gradient[*i] += common;
                    for j in &entries[..=row] {
                        nll.hessian[i * len + j] += 1.0;
                    }
                }
                continue;
            }
            for (row, i) in entries.iter().enumerate() {
                if of_offsets || row != column {
                    nll.value += 0.5 * strength * parameters[*i] * parameters[*i];
                    nll.gradient[*i] += strength * parameters[*i];
                    nll.hessian[i * len + i] += strength;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::newton::assert_derivatives;
    use super::*;

    #[test]
    fn derivatives_are_those_of_the_value() {
        let inputs: Vec<f64> = (0..12).map(|i| (1.7 * f64::from(i)).sin()).collect();
        let parameters: Vec<f64> = (0..12).map(|i| (0.9 * f64::from(i)).cos()).collect();
        for (off_diagonal, offset) in [(0.0, 0.0), (0.7, 0.0), (0.0, 0.4), (0.7, 0.4)] {
            let objective = Objective {
                classes: 3,
                inputs: &inputs,
                labels: &[0, 2, 1, 1],
                off_diagonal,
                offset,
            };
            assert_derivatives(|parameters| objective.expand(parameters), &parameters);
        }
    }
}
