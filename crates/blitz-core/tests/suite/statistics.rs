//! Gates in standard errors.

/// The mean of a sample and its standard error.
#[derive(Debug)]
pub struct Sample {
    pub mean: f64,
    pub standard_error: f64,
}

impl Sample {
    pub fn new(values: impl Iterator<Item = f64>) -> Self {
        let values: Vec<f64> = values.collect();
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
        Self {
            mean,
            standard_error: (variance / n).sqrt(),
        }
    }

    /// The mean is within `k` standard errors of `expected`.
    #[track_caller]
    pub fn assert_mean(&self, expected: f64, k: f64, what: &str) {
        let errors = (self.mean - expected) / self.standard_error;
        assert!(
            errors.abs() < k,
            "{what}: {} for {expected}, {errors:.1} standard errors off",
            self.mean
        );
    }
}

/// The largest distance of a sample's distribution function from `cdf`.
pub fn kolmogorov_smirnov(mut sample: Vec<f64>, cdf: impl Fn(f64) -> f64) -> f64 {
    sample.sort_by(f64::total_cmp);
    let n = sample.len() as f64;
    let steps = sample.iter().enumerate();
    steps
        .map(|(i, x)| {
            let expected = cdf(*x);
            (expected - i as f64 / n).max((i as f64 + 1.0) / n - expected)
        })
        .fold(0.0, f64::max)
}
