//! How large a network may be, a prediction, and the windows of a series.

/// With their deviations, gradients and an optimizer's moments, so many weights take four gigabytes and more.
const MOST_WEIGHTS: u128 = 100_000_000;

/// As outputs, and as the distributions of numbers that are made of them, so many take four gigabytes too.
const MOST_NUMBERS: u128 = 100_000_000;

/// Refuses layers of these numbers of inputs and outputs if they have more weights than a run is likely to have memory
/// for: a system ends a program that asks for more than there is, without a word.
///
/// # Errors
///
/// Returns a sentence with the number of weights.
pub fn check_layers(layers: impl IntoIterator<Item = [usize; 2]>) -> Result<(), String> {
    let of_layer = |[inputs, outputs]: [usize; 2]| inputs as u128 * outputs as u128;
    let weights: u128 = layers.into_iter().map(of_layer).sum();
    if weights <= MOST_WEIGHTS {
        return Ok(());
    }
    Err(format!(
        "a network of this size has {weights} weights, and at most {MOST_WEIGHTS} are taken: make it narrower"
    ))
}

/// Refuses a prediction of more numbers than a run is likely to have memory for: those of each draw are its outputs for
/// the rows that are predicted together, and its weights if it is kept.
///
/// # Errors
///
/// Returns a sentence with the number of draws.
pub fn check_draws(draws: usize, numbers: usize) -> Result<(), String> {
    let all = draws as u128 * numbers as u128;
    if all <= MOST_NUMBERS {
        return Ok(());
    }
    Err(format!(
        "a prediction from {draws} draws of {numbers} numbers each has {all} numbers, and at most {MOST_NUMBERS} are taken: draw fewer"
    ))
}

/// Refuses windows of more values than a run is likely to have memory for: each window has its values for itself.
///
/// # Errors
///
/// Returns a sentence with the number of windows and their length.
pub fn check_windows(windows: usize, length: usize) -> Result<(), String> {
    let all = windows as u128 * length as u128;
    if all <= MOST_NUMBERS {
        return Ok(());
    }
    Err(format!(
        "{windows} windows of {length} values each have {all} values, and at most {MOST_NUMBERS} are taken: take a shorter window"
    ))
}

#[cfg(test)]
mod tests {
    use super::{check_draws, check_layers, check_windows};

    #[test]
    fn more_windows_than_a_run_has_memory_for_are_refused_by_their_number() {
        assert_eq!(check_windows(5_000, 20_000), Ok(()));
        let error = check_windows(40_000, 20_000).unwrap_err();
        let size = "40000 windows of 20000 values each have 800000000 values";
        assert!(error.contains(size), "{error}");
        assert!(check_windows(usize::MAX, usize::MAX).is_err());
    }

    #[test]
    fn more_weights_than_a_run_has_memory_for_are_refused_by_their_number() {
        assert_eq!(check_layers([[10_000, 9_999], [100, 100]]), Ok(()));
        let error = check_layers([[10_000, 10_000], [1, 1]]).unwrap_err();
        assert!(error.contains("100000001 weights"), "{error}");
        // No product of the largest numbers is beyond the sum.
        assert!(check_layers([[usize::MAX; 2]]).is_err());
    }

    #[test]
    fn more_draws_than_a_run_has_memory_for_are_refused_by_their_number() {
        assert_eq!(check_draws(10_000, 10_000), Ok(()));
        let error = check_draws(1_000_000, 510).unwrap_err();
        assert!(error.contains("1000000 draws of 510 numbers"), "{error}");
        assert!(error.contains("has 510000000 numbers"), "{error}");
        assert!(check_draws(usize::MAX, usize::MAX).is_err());
    }
}
