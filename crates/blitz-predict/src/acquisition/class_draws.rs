//! What each draw says about the classes of each point of a pool: what a joint choice needs and a mixture has summed
//! away.

use crate::check;
use crate::distribution::softmax::{softmax, unusable_logit};
use crate::error::InputError;
use crate::mixture::CategoricalMixture;

/// `p(y | x, w_s)` for each draw s and each point x of a pool.
///
/// Draw s has to be *one* network at all points. The joint information of two labels lies in which draws predict both;
/// draws that are shuffled from point to point have the same mixture and another joint information. Predictions in
/// several batches are so of the same seed and the same numbers of draws, and the network draws its weights: with local
/// reparameterization or flipout every row of a batch has noise of its own.
///
/// It keeps `points × draws × classes` numbers of 8 bytes.
///
/// ```
/// use blitz_predict::acquisition::ClassDraws;
///
/// let draws = ClassDraws::try_from_logits([vec![1.0, 0.0, 0.0, 2.0], vec![0.0, 1.0, 0.0, 2.0]], 2)?;
/// assert_eq!((draws.len(), draws.draws(), draws.classes()), (2, 2, 2));
/// assert!(draws.mixture().mutual_information()[1] < 1e-12);
/// # Ok::<(), blitz_predict::InputError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ClassDraws {
    /// In the order `[point, draw, class]`, so that what is weighed by draws lies together.
    probabilities: Vec<f64>,
    mixture: CategoricalMixture,
}

impl ClassDraws {
    /// From the logits of each draw, in row-major order `[point, class]`.
    ///
    /// # Errors
    ///
    /// Returns an error without draws or classes, if the draws differ in length, if a length is no multiple of
    /// `classes`, or if a logit is NaN, ∞, or −∞ with no finite one beside it.
    pub fn try_from_logits(
        draws: impl IntoIterator<Item = Vec<f64>>,
        classes: usize,
    ) -> Result<Self, InputError> {
        let draws: Vec<Vec<f64>> = draws.into_iter().collect();
        check::not_empty(draws.len(), "draw")?;
        let len = draws[0].len();
        check::rows(len, classes)?;
        for (draw, logits) in draws.iter().enumerate() {
            if logits.len() != len {
                return Err(InputError::Draw {
                    draw,
                    expected: len,
                    got: logits.len(),
                });
            }
            if let Some(place) = unusable_logit(logits, classes) {
                return Err(InputError::Logit {
                    draw,
                    example: place / classes,
                    value: logits[place],
                });
            }
        }
        let mixture = CategoricalMixture::from_logits(draws.iter().cloned(), classes);
        let by_draw: Vec<Vec<f64>> = draws
            .into_iter()
            .map(|logits| softmax(logits, classes))
            .collect();
        let mut probabilities = Vec::with_capacity(by_draw.len() * len);
        for point in 0..len / classes {
            for draw in &by_draw {
                probabilities.extend_from_slice(&draw[point * classes..][..classes]);
            }
        }
        Ok(Self {
            probabilities,
            mixture,
        })
    }

    /// Puts further points of the pool behind these: of the same draws, in the same order.
    ///
    /// # Errors
    ///
    /// Returns an error, and changes nothing, unless both have the same numbers of draws and classes.
    pub fn append(&mut self, more: Self) -> Result<(), InputError> {
        check::same_length(
            (self.draws(), "draws of a pool"),
            (more.draws(), "draws of its further points"),
        )?;
        check::same_length(
            (self.classes(), "classes of a pool"),
            (more.classes(), "classes of its further points"),
        )?;
        self.probabilities.extend(more.probabilities);
        self.mixture.append(more.mixture);
        Ok(())
    }

    /// The mixture of the draws: what [`bald`](super::bald), [`entropy`](super::entropy) and [`margin`](super::margin)
    /// choose by.
    pub fn mixture(&self) -> &CategoricalMixture {
        &self.mixture
    }

    /// The number of draws S.
    pub fn draws(&self) -> usize {
        self.mixture.draws()
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.mixture.classes()
    }

    /// The number of points.
    pub fn len(&self) -> usize {
        self.mixture.len()
    }

    /// Whether there are no points.
    pub fn is_empty(&self) -> bool {
        self.mixture.is_empty()
    }

    /// `p(y | x, w_s)` of one point, in the order `[draw, class]`.
    pub(super) fn point(&self, point: usize) -> &[f64] {
        let width = self.draws() * self.classes();
        &self.probabilities[point * width..][..width]
    }
}
