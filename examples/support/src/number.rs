//! Value parsers for command-line options: each says what a value must be.

use std::io::{self, IsTerminal};

/// Beyond any use, and small enough that no product of two counts overflows. What a product makes is bounded by
/// [`check_layers`](crate::check_layers).
const LARGEST: usize = 10_000_000;

/// A whole number of at least `MIN`.
pub fn at_least<const MIN: usize>(text: &str) -> Result<usize, String> {
    within::<MIN, LARGEST>(text)
}

/// The draws of a training step, as many as an ELBO takes.
pub fn draws_of_a_step(text: &str) -> Result<usize, String> {
    within::<1, { u16::MAX as usize }>(text)
}

/// The draws of a prediction: each takes room, however little it predicts. What they predict together is bounded by
/// [`check_draws`](crate::check_draws).
pub fn draws_of_a_prediction(text: &str) -> Result<usize, String> {
    within::<2, 1_000_000>(text)
}

fn within<const MIN: usize, const MAX: usize>(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(value) if (MIN..=MAX).contains(&value) => Ok(value),
        _ => Err(format!(
            "must be a whole number of at least {MIN} and at most {MAX}"
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

/// The least deviation: a layer of ten million inputs divides it by their root, and its square still is a number in
/// `f32`.
const LEAST_DEVIATION: f64 = 1e-10;
/// The largest: so many times as much, in a wide component for instance, still is one of the library's.
const LARGEST_DEVIATION: f64 = 1e10;

/// The deviation of a prior, or one that a posterior starts with.
pub fn deviation(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (LEAST_DEVIATION..=LARGEST_DEVIATION).contains(&value) => Ok(value),
        _ => Err(format!(
            "must be a finite number of at least {LEAST_DEVIATION:e} and at most {LARGEST_DEVIATION:e}"
        )),
    }
}

/// A learning rate: Burn's cosine schedule takes none above 1.
pub fn learning_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value <= 1.0 => Ok(value),
        _ => Err("must be a number above 0 and at most 1".into()),
    }
}

/// A flag that needs a terminal on standard output: Burn prints its dashboard as lines elsewhere, and one that can't be
/// written ends the training.
pub fn in_a_terminal(text: &str) -> Result<bool, String> {
    let wanted = text == "true";
    match wanted && !io::stdout().is_terminal() {
        true => Err("standard output is no terminal".into()),
        false => Ok(wanted),
    }
}

#[cfg(test)]
mod tests {
    use blitz_train::prelude::{BayesianLinearConfig, ElboConfig, PosteriorConfig, PriorConfig};
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn the_least_and_the_largest_deviation_are_those_of_every_layer() {
        let least = deviation("1e-10").unwrap();
        let of_the_widest = least / (LARGEST as f64).sqrt();
        BayesianLinearConfig::new(1, 1)
            .with_posterior(PosteriorConfig::normal(of_the_widest))
            .with_prior(PriorConfig::normal(of_the_widest))
            .init(&Device::flex());
        assert!((of_the_widest * of_the_widest) as f32 > 0.0);
        BayesianLinearConfig::new(1, 1)
            .with_posterior(PosteriorConfig::normal(deviation("1e10").unwrap()))
            .init(&Device::flex());
        for text in [
            "9e-11", "1e-30", "5e-324", "0", "-1", "1.1e10", "inf", "NaN", "",
        ] {
            let error = deviation(text).unwrap_err();
            let range = "at least 1e-10 and at most 1e10";
            assert!(error.contains(range), "{text}: {error}");
        }
    }

    #[test]
    fn a_step_has_as_many_draws_as_an_elbo_takes() {
        let most = draws_of_a_step("65535").unwrap();
        assert!(ElboConfig::new(1).with_samples(most).try_init().is_ok());
        assert!(
            ElboConfig::new(1)
                .with_samples(most + 1)
                .try_init()
                .is_err()
        );
        for text in ["0", "65536", "-1", "1.5", ""] {
            let error = draws_of_a_step(text).unwrap_err();
            assert!(error.contains("at least 1 and at most 65535"), "{error}");
        }
    }

    #[test]
    fn a_prediction_has_two_to_a_million_draws() {
        assert_eq!(draws_of_a_prediction("2"), Ok(2));
        assert_eq!(draws_of_a_prediction("1000000"), Ok(1_000_000));
        for text in ["1", "1000001", "10000000", "-1", ""] {
            let error = draws_of_a_prediction(text).unwrap_err();
            assert!(error.contains("at least 2 and at most 1000000"), "{error}");
        }
    }
}
