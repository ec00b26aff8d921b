//! The digits, and their division into a pool and a test set.

use blitz_train::acquisition::random;
use burn::tensor::{Device, Int, Tensor, TensorData};
use example_support::digits;

/// Pixels of a digit.
pub const PIXELS: usize = 64;
/// Classes.
pub const CLASSES: usize = 10;

/// Digits of 8×8 pixels, each between 0 and 1, with their labels.
#[derive(Debug, Clone, Default)]
pub struct Digits {
    pixels: Vec<[f32; PIXELS]>,
    labels: Vec<i32>,
}

/// The digits of one seed.
#[derive(Debug, Clone)]
pub struct Division {
    /// What can be labelled.
    pub pool: Digits,
    /// What the accuracy is measured on.
    pub test: Digits,
}

impl Digits {
    /// All that the examples carry.
    pub fn shipped() -> Self {
        let scaled = |(pixels, label): ([u8; PIXELS], u8)| {
            let pixels = pixels.map(|pixel| f32::from(pixel) / 16.0);
            (pixels, i32::from(label))
        };
        let (pixels, labels) = digits::small().into_iter().map(scaled).unzip();
        Self { pixels, labels }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// `test` of them, chosen at random, as the test set.
    pub fn divide(&self, test: usize, seed: u64) -> Division {
        let shuffled = random(self.len(), self.len(), seed)
            .unwrap_or_else(|_| unreachable!("as many as there are"))
            .indices;
        let (test, pool) = shuffled.split_at(test);
        Division {
            pool: self.of(pool),
            test: self.of(test),
        }
    }

    /// Those at these places.
    pub fn of(&self, places: &[usize]) -> Self {
        Self {
            pixels: places.iter().map(|place| self.pixels[*place]).collect(),
            labels: places.iter().map(|place| self.labels[*place]).collect(),
        }
    }

    /// Their pixels, of shape `[digit, pixel]`.
    pub fn inputs(&self, device: &Device) -> Tensor<2> {
        let pixels = self.pixels.concat();
        let data = TensorData::new(pixels, [self.len(), PIXELS]);
        Tensor::from_data(data, device)
    }

    /// Their labels, of shape `[digit]`.
    pub fn targets(&self, device: &Device) -> Tensor<1, Int> {
        let data = TensorData::new(self.labels.clone(), [self.len()]);
        Tensor::from_data(data, device)
    }

    /// Their labels.
    pub fn labels(&self) -> Vec<usize> {
        self.labels.iter().map(|label| *label as usize).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_small_pixels_are_those_of_the_file() {
        let digits = Digits::shipped();
        assert_eq!(digits.len(), 1797);
        // The first line of the file: 0,0,5,13,9,1,0,0 …, a zero.
        let first: Vec<f32> = digits.pixels[0][..8].iter().map(|p| p * 16.0).collect();
        assert_eq!(first, [0.0, 0.0, 5.0, 13.0, 9.0, 1.0, 0.0, 0.0]);
        assert_eq!(digits.labels[0], 0);
    }

    #[test]
    fn a_division_has_every_digit_once() {
        let digits = Digits::shipped();
        let Division { pool, test } = digits.divide(597, 3);
        assert_eq!((pool.len(), test.len()), (1200, 597));
        let sums = |digits: &Digits| digits.labels.iter().sum::<i32>();
        assert_eq!(sums(&pool) + sums(&test), sums(&digits));
        assert_ne!(digits.divide(597, 4).pool.labels, pool.labels);
    }
}
