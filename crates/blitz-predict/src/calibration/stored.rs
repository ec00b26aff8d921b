//! What a file may say of a fit: numbers out of their range are refused when they are read, not when they are applied.

use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::check;

fn number<'de, D: Deserializer<'de>>(
    deserializer: D,
    what: &str,
    range: &str,
    allowed: fn(f64) -> bool,
) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    if allowed(value) {
        return Ok(value);
    }
    Err(D::Error::custom(format!(
        "{what} must be {range}, got {value}"
    )))
}

pub(super) fn temperature<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let allowed = |t: f64| t > 0.0 && t.is_finite();
    number(
        deserializer,
        "a temperature",
        "positive and finite",
        allowed,
    )
}

pub(super) fn level<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let allowed = |level| level > 0.0 && level < 1.0;
    number(deserializer, "a level", "inside (0, 1)", allowed)
}

/// Half a width: infinite where residuals are beyond the numbers.
pub(super) fn radius<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    number(deserializer, "half a width", "at least 0", |r| r >= 0.0)
}

pub(super) fn penalty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let allowed = |penalty: f64| penalty >= 0.0 && penalty.is_finite();
    number(
        deserializer,
        "a penalty or weight",
        "finite and at least 0",
        allowed,
    )
}

/// A probability of a network, which may be a rounding above 1.
pub(super) fn probability_if_any<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<f64>, D::Error> {
    match Option::<f64>::deserialize(deserializer)? {
        Some(p) if check::probabilities(&[p], "probability").is_err() => Err(D::Error::custom(
            format!("a probability must be inside [0, 1], got {p}"),
        )),
        p => Ok(p),
    }
}

pub(super) fn not_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    number(deserializer, "a score", "a number", |x| !x.is_nan())
}

pub(super) fn classes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    match usize::deserialize(deserializer)? {
        0 => Err(D::Error::custom("there must be at least one class, got 0")),
        classes => Ok(classes),
    }
}
