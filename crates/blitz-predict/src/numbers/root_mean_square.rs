//! The root mean square of any numbers.

/// `√(1/n Σ x²)`, of numbers whose squares may be beyond the numbers, or below them.
pub(crate) fn root_mean_square(numbers: impl ExactSizeIterator<Item = f64> + Clone) -> f64 {
    let count = numbers.len() as f64;
    let largest = numbers.clone().map(f64::abs).fold(0.0, f64::max);
    if largest.is_infinite() {
        // Infinite, unless there is a NaN.
        return numbers.map(f64::abs).sum();
    }
    // The power of two below it: to divide by it rounds nothing.
    let scale = f64::from_bits(largest.to_bits() & f64::INFINITY.to_bits()).max(f64::MIN_POSITIVE);
    let squares = numbers.map(|x| (x / scale).powi(2));
    scale * (squares.sum::<f64>() / count).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_whose_squares_are_none_have_one() {
        for (numbers, expected) in [
            ([1e155, -1e155], 1e155),
            ([1e-170, 1e-170], 1e-170),
            ([5e-324, 5e-324], 5e-324),
            ([f64::MAX, -f64::MAX], f64::MAX),
            ([0.0, 0.0], 0.0),
        ] {
            assert_eq!(root_mean_square(numbers.into_iter()), expected);
        }
    }

    #[test]
    fn of_an_infinite_number_it_is_infinite() {
        assert_eq!(
            root_mean_square([1.0, -f64::INFINITY].into_iter()),
            f64::INFINITY
        );
        assert!(root_mean_square([f64::NAN, f64::INFINITY].into_iter()).is_nan());
    }

    #[test]
    fn in_the_range_of_the_squares_it_is_the_sum_as_it_is_written() {
        let numbers = [0.1, -0.7, 3.3, 1e-9];
        let squares: f64 = numbers.iter().map(|x: &f64| x.powi(2)).sum();
        let expected = (squares / 4.0).sqrt();
        assert_eq!(root_mean_square(numbers.into_iter()), expected);
    }
}
