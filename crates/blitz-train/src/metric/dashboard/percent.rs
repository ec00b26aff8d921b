//! Levels in names.

/// A level in percent, as it was written: 55 for 0.55, where the product with 100 is 55.00000000000001. Names become those of files, and a metric is asked
/// for by its name.
pub(super) fn percent(level: f64) -> f64 {
    format!("{level}e2").parse().unwrap_or(100.0 * level)
}

#[cfg(test)]
mod tests {
    use super::percent;
    use crate::metric::dashboard::{CoverageMetric, IntervalScoreMetric, SharpnessMetric};
    use burn::train::metric::Metric;

    #[test]
    fn a_level_is_named_as_it_was_written() {
        for percents in 1..100 {
            let level = f64::from(percents) / 100.0;
            assert_eq!(percent(level), f64::from(percents), "{level}");
        }
        assert_eq!(percent(0.999), 99.9);
        assert_eq!(CoverageMetric::new(0.55).name().as_str(), "Coverage 55%");
        assert_eq!(SharpnessMetric::new(0.07).name().as_str(), "Sharpness 7%");
        let score = IntervalScoreMetric::new(0.29);
        assert_eq!(score.name().as_str(), "Interval score 29%");
    }
}
