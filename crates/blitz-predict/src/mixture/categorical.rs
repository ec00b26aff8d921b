//! The predictive distribution of a classification: the mean of the draws' class probabilities.

use std::f64::consts::LN_2;

use super::Predictive;
use crate::distribution::softmax::{log_softmax, most_probable, unusable_logit};
use crate::error::MixtureError;

/// `p(y | x) = 1/S Σ_s softmax(f_s(x))_y` for each example.
///
/// Its entropy splits into what the draws are unsure of and what they disagree about: `H[y] = E_s[H[y | s]] + I[y; s]`,
/// expected entropy plus mutual information (Houlsby et al. 2011: BALD). The first is aleatoric, the second epistemic:
/// more data can reduce it. All in nats. Only the mixture is kept, not the draws, so memory does not grow with S.
///
/// ```
/// use blitz_predict::CategoricalMixture;
///
/// // Two draws for two examples of two classes: they agree about the first and contradict each other about the second.
/// let draws = [vec![3.0, 0.0, 9.0, 0.0], vec![3.0, 0.0, 0.0, 9.0]];
/// let y = CategoricalMixture::from_logits(draws, 2);
/// assert_eq!(y.predicted()[0], 0);
/// assert!((y.probabilities(1)[0] - 0.5).abs() < 1e-12);
/// assert!(y.mutual_information()[0] < 1e-12);
/// assert!((y.mutual_information()[1] - 2f64.ln()).abs() < 0.01);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct CategoricalMixture {
    /// `ln p(y | x)`, in row-major order `[example, class]`: kept as logarithms so that no small probability vanishes.
    log_probabilities: Vec<f64>,
    /// `E_s[H[y | s]]` of each example.
    expected_entropy: Vec<f64>,
    /// How many draws find each class most probable, in the order of the probabilities.
    votes: Vec<u32>,
    classes: usize,
    draws: usize,
}

impl CategoricalMixture {
    /// The mixture of draws, each given by its logits in row-major order `[example, class]`.
    ///
    /// # Panics
    ///
    /// Panics without draws or classes, if the draws differ in length, if a length is no multiple of `classes`, or if a
    /// logit is NaN, ∞, or −∞ with no finite one beside it.
    pub fn from_logits(draws: impl IntoIterator<Item = Vec<f64>>, classes: usize) -> Self {
        match Self::try_from_logits(draws, classes) {
            Ok(mixture) => mixture,
            Err(error) => panic!("{error}"),
        }
    }

    /// [`from_logits`](Self::from_logits) of a network's outputs, which may have become NaN or infinite.
    ///
    /// # Errors
    ///
    /// Returns an error that names the first logit that is NaN, ∞, or −∞ with no finite one beside it. Beside one, −∞ is
    /// a class of probability zero.
    ///
    /// # Panics
    ///
    /// Panics without draws or classes, if the draws differ in length, or if a length is no multiple of `classes`.
    pub fn try_from_logits(
        draws: impl IntoIterator<Item = Vec<f64>>,
        classes: usize,
    ) -> Result<Self, MixtureError> {
        assert!(
            classes > 0,
            "a categorical distribution needs classes, got 0"
        );
        let mut mixture: Option<Self> = None;
        for (index, logits) in draws.into_iter().enumerate() {
            let draw = Self::of_one_draw(index, logits, classes)?;
            match &mut mixture {
                None => mixture = Some(draw),
                Some(mixture) => mixture.add(draw),
            }
        }
        let Some(mut mixture) = mixture else {
            panic!("a predictive distribution needs at least one draw, got 0");
        };
        let draws = mixture.draws as f64;
        for log_probability in &mut mixture.log_probabilities {
            *log_probability -= draws.ln();
        }
        for entropy in &mut mixture.expected_entropy {
            *entropy /= draws;
        }
        if mixture.draws > 1 {
            let rows = mixture.log_probabilities.chunks_mut(classes);
            rows.for_each(complement_of_the_others);
        }
        Ok(mixture)
    }

    fn of_one_draw(
        index: usize,
        mut logits: Vec<f64>,
        classes: usize,
    ) -> Result<Self, MixtureError> {
        assert!(
            logits.len().is_multiple_of(classes),
            "a draw needs {classes} logits for each example, got {} in all",
            logits.len()
        );
        if let Some(i) = unusable_logit(&logits, classes) {
            return Err(MixtureError::NonFinite {
                draw: index,
                example: i / classes,
                what: format!("a logit is {}", logits[i]),
            });
        }
        let mut expected_entropy = Vec::with_capacity(logits.len() / classes);
        let mut votes = vec![0; logits.len()];
        for (row, votes) in logits.chunks_mut(classes).zip(votes.chunks_mut(classes)) {
            votes[most_probable(row).0] = 1;
            log_softmax(row);
            expected_entropy.push(entropy(row));
        }
        Ok(Self {
            log_probabilities: logits,
            expected_entropy,
            votes,
            classes,
            draws: 1,
        })
    }

    /// Adds a draw to the sums.
    fn add(&mut self, draw: Self) {
        assert!(
            self.log_probabilities.len() == draw.log_probabilities.len(),
            "every draw needs the same examples, got {} and {}",
            self.len(),
            draw.len()
        );
        for (sum, added) in self
            .log_probabilities
            .iter_mut()
            .zip(draw.log_probabilities)
        {
            *sum = log_sum_exp(*sum, added);
        }
        for (sum, added) in self.expected_entropy.iter_mut().zip(draw.expected_entropy) {
            *sum += added;
        }
        for (sum, added) in self.votes.iter_mut().zip(draw.votes) {
            *sum += added;
        }
        self.draws += 1;
    }

    /// Puts the predictions of further examples behind these.
    ///
    /// # Panics
    ///
    /// Panics unless both have the same classes and number of draws.
    pub fn append(&mut self, more: Self) {
        assert!(
            (self.classes, self.draws) == (more.classes, more.draws),
            "predictions of {} classes from {} draws go with their like, got {} classes from {} draws",
            self.classes,
            self.draws,
            more.classes,
            more.draws
        );
        self.log_probabilities.extend(more.log_probabilities);
        self.expected_entropy.extend(more.expected_entropy);
        self.votes.extend(more.votes);
    }

    /// The number of draws S.
    pub fn draws(&self) -> usize {
        self.draws
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The number of examples.
    pub fn len(&self) -> usize {
        self.expected_entropy.len()
    }

    /// Whether there are no examples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.log_probabilities.chunks(self.classes)
    }

    pub(super) fn row(&self, example: usize) -> &[f64] {
        &self.log_probabilities[example * self.classes..][..self.classes]
    }

    /// The probability of each class for one example.
    ///
    /// # Panics
    ///
    /// Panics if there is no such example.
    pub fn probabilities(&self, example: usize) -> Vec<f64> {
        let row = self.checked_row(example).iter();
        row.map(|log_p| log_p.exp()).collect()
    }

    /// `ln p(y | x)` of each class for one example: logits for a calibrator, finite where a probability is too small
    /// for a number.
    ///
    /// ```
    /// use blitz_predict::CategoricalMixture;
    ///
    /// let y = CategoricalMixture::from_logits([vec![800.0, 0.0]], 2);
    /// assert_eq!((y.probabilities(0)[1], y.log_probabilities(0)[1]), (0.0, -800.0));
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if there is no such example.
    pub fn log_probabilities(&self, example: usize) -> Vec<f64> {
        self.checked_row(example).to_vec()
    }

    fn checked_row(&self, example: usize) -> &[f64] {
        let len = self.len();
        assert!(
            example < len,
            "there is no example {example}, the predictions are for {len}"
        );
        self.row(example)
    }

    /// The most probable class of each example; the first of equals.
    pub fn predicted(&self) -> Vec<usize> {
        self.rows().map(|row| most_probable(row).0).collect()
    }

    /// The probability of the most probable class of each example.
    pub fn confidence(&self) -> Vec<f64> {
        self.rows().map(|row| most_probable(row).1.exp()).collect()
    }

    /// The entropy of each prediction, aleatoric and epistemic together.
    pub fn entropy(&self) -> Vec<f64> {
        self.rows().map(entropy).collect()
    }

    /// The mean entropy of the draws: what more data cannot reduce.
    pub fn expected_entropy(&self) -> Vec<f64> {
        self.expected_entropy.clone()
    }

    /// The mutual information of class and weights: how much the draws disagree, what more data could reduce.
    ///
    /// Zero for a single draw.
    pub fn mutual_information(&self) -> Vec<f64> {
        let total = self.entropy().into_iter();
        let pairs = total.zip(&self.expected_entropy);
        // Never negative but for rounding.
        pairs
            .map(|(total, expected)| (total - expected).max(0.0))
            .collect()
    }

    /// The share of draws that find another class most probable than most of them do (Freeman 1965; Gal 2016): zero
    /// where all draws name the same class, however unsure each of them is.
    pub fn variation_ratio(&self) -> Vec<f64> {
        let votes = self.votes.chunks(self.classes);
        let most = votes.map(|votes| votes.iter().copied().max().unwrap_or(0));
        most.map(|most| 1.0 - f64::from(most) / self.draws as f64)
            .collect()
    }
}

impl Predictive for CategoricalMixture {
    fn append(&mut self, more: Self) {
        CategoricalMixture::append(self, more);
    }

    fn examples(&self) -> usize {
        self.len()
    }
}

/// A probability above one half from the others: beside `ln S` the logarithm of a sure one has lost its digits.
fn complement_of_the_others(row: &mut [f64]) {
    let (place, log_p) = most_probable(row);
    if log_p > -LN_2 {
        row[place] = f64::NEG_INFINITY;
        let others: f64 = row.iter().map(|log_p| log_p.exp()).sum();
        row[place] = (-others).ln_1p();
    }
}

/// `−Σ p ln p` from `ln p`.
fn entropy(log_probabilities: &[f64]) -> f64 {
    let terms = log_probabilities.iter().map(|log_p| match log_p.exp() {
        // p ln p vanishes with p, also where ln p has overflowed.
        0.0 => 0.0,
        p => -p * log_p,
    });
    terms.sum()
}

fn log_sum_exp(a: f64, b: f64) -> f64 {
    let (large, small) = if a >= b { (a, b) } else { (b, a) };
    if large == f64::NEG_INFINITY {
        return large;
    }
    large + (small - large).exp().ln_1p()
}
