//! How large a network may be.

/// With their deviations, gradients and an optimizer's moments, so many weights take four gigabytes and more.
const MOST_WEIGHTS: u128 = 100_000_000;

/// Refuses layers of these numbers of inputs and outputs if they have more weights than a run is likely to have memory for: a system ends a program that
/// asks for more than there is, without a word.
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

#[cfg(test)]
mod tests {
    use super::check_layers;

    #[test]
    fn more_weights_than_a_run_has_memory_for_are_refused_by_their_number() {
        assert_eq!(check_layers([[10_000, 9_999], [100, 100]]), Ok(()));
        let error = check_layers([[10_000, 10_000], [1, 1]]).unwrap_err();
        assert!(error.contains("100000001 weights"), "{error}");
        // No product of the largest numbers is beyond the sum.
        assert!(check_layers([[usize::MAX; 2]]).is_err());
    }
}
