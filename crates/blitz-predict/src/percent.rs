//! Levels in names and legends. For the crates of blitz.

/// A level in percent, as it was written: 55 for 0.55, where the product with 100 is 55.00000000000001.
pub fn percent(level: f64) -> f64 {
    format!("{level}e2").parse().unwrap_or(100.0 * level)
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn a_level_is_in_percent_as_it_was_written() {
        for percents in 1..100 {
            let level = f64::from(percents) / 100.0;
            assert_eq!(percent(level), f64::from(percents), "{level}");
        }
        assert_eq!(percent(0.999), 99.9);
    }
}
