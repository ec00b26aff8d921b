//! Value parsers for command-line options: each says what a value must be.

/// Beyond any use, and small enough that no product of two counts overflows.
const LARGEST: usize = 10_000_000;

/// A whole number of at least `MIN`.
pub fn at_least<const MIN: usize>(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(value) if (MIN..=LARGEST).contains(&value) => Ok(value),
        _ => Err(format!(
            "must be a whole number of at least {MIN} and at most {LARGEST}"
        )),
    }
}

/// A finite number of at least 0.
pub fn not_negative(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(value),
        _ => Err("must be a finite number of at least 0".into()),
    }
}

/// A finite number above 0.
pub fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value > 0.0 => Ok(value),
        _ => Err("must be a finite number above 0".into()),
    }
}

/// A learning rate: Burn's cosine schedule takes none above 1.
pub fn learning_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value <= 1.0 => Ok(value),
        _ => Err("must be a number above 0 and at most 1".into()),
    }
}
