//! Autocovariances of chains.

use std::cell::OnceCell;
use std::f64::consts::TAU;

/// Up to this lag each is a sum by itself: most chains need no other.
const BY_SUMS: usize = 64;

/// `1/n Σ_i x_i x_{i + lag}` of centered chains, averaged over the chains.
///
/// Chains that sit apart need every lag, at a cost of n² by sums: those beyond the first are computed all at once, by
/// Fourier transforms (Wiener and Khinchin).
pub(super) struct Autocovariances {
    centered: Vec<Vec<f64>>,
    all: OnceCell<Vec<f64>>,
}

impl Autocovariances {
    pub(super) fn new(centered: Vec<Vec<f64>>) -> Self {
        Self {
            centered,
            all: OnceCell::new(),
        }
    }

    pub(super) fn at(&self, lag: usize) -> f64 {
        match lag > BY_SUMS {
            true => self.all.get_or_init(|| all(&self.centered))[lag],
            false => by_sum(&self.centered, lag),
        }
    }
}

fn by_sum(centered: &[Vec<f64>], lag: usize) -> f64 {
    let of_chain = |chain: &Vec<f64>| {
        let products: f64 = chain.iter().zip(&chain[lag..]).map(|(a, b)| a * b).sum();
        products / chain.len() as f64
    };
    centered.iter().map(of_chain).sum::<f64>() / centered.len() as f64
}

/// At all lags.
fn all(centered: &[Vec<f64>]) -> Vec<f64> {
    let draws = centered[0].len();
    // Zeros behind a chain, so that its end meets its beginning at no lag.
    let size = (2 * draws).next_power_of_two();
    let mut power = vec![0.0; size];
    for chain in centered {
        let (mut re, mut im) = (vec![0.0; size], vec![0.0; size]);
        re[..draws].copy_from_slice(chain);
        transform(&mut re, &mut im);
        for ((power, re), im) in power.iter_mut().zip(&re).zip(&im) {
            *power += re * re + im * im;
        }
    }
    // The power of real numbers is even, and so its transform its inverse transform but for the size.
    let mut im = vec![0.0; size];
    transform(&mut power, &mut im);
    let scale = (size * draws * centered.len()) as f64;
    power.truncate(draws);
    power.iter_mut().for_each(|value| *value /= scale);
    power
}

/// The discrete Fourier transform of as many complex numbers as a power of two, in place (Cooley and Tukey).
fn transform(re: &mut [f64], im: &mut [f64]) {
    let size = re.len();
    let bits = size.trailing_zeros();
    for i in 0..size {
        let j = i.reverse_bits() >> (usize::BITS - bits);
        if i < j {
            re.swap(i, j);
            im.swap(i, j);
        }
    }
    let mut half = 1;
    while half < size {
        for k in 0..half {
            let (sin, cos) = libm::sincos(-TAU * k as f64 / (2 * half) as f64);
            for i in (k..size).step_by(2 * half) {
                let j = i + half;
                let (x, y) = (re[j] * cos - im[j] * sin, re[j] * sin + im[j] * cos);
                (re[j], im[j]) = (re[i] - x, im[i] - y);
                (re[i], im[i]) = (re[i] + x, im[i] + y);
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_at_once_they_are_the_sums() {
        for draws in [1, 2, 77, 256, 300] {
            let chains: Vec<Vec<f64>> = (0..3)
                .map(|c| {
                    let at = |i: usize| ((i * i + 7 * c) as f64).sin() + 0.01 * i as f64;
                    (0..draws).map(at).collect()
                })
                .collect();
            for (lag, value) in all(&chains).into_iter().enumerate() {
                let sum = by_sum(&chains, lag);
                assert!(
                    (value - sum).abs() < 1e-12,
                    "{draws}, {lag}: {value}, {sum}"
                );
            }
        }
    }
}
