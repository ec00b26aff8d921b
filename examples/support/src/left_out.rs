//! What could not be made in a comparison: the others are worth their report.

use std::fmt;

use serde::Serialize;

use crate::{RunError, say};

/// What could not be made, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// A method, or what else it was.
    pub name: String,
    /// The seed.
    pub seed: u64,
    /// Why.
    pub reason: String,
}

impl LeftOut {
    /// Says it on standard error.
    pub fn new(name: impl Into<String>, seed: u64, error: impl fmt::Display) -> Self {
        let left_out = Self {
            name: name.into(),
            seed,
            reason: error.to_string(),
        };
        say!("  left out: {left_out}");
        left_out
    }

    /// The error of a comparison of which nothing is left, or none.
    ///
    /// # Errors
    ///
    /// Says the reasons, if `is_empty`.
    pub fn unless_something_is_left(all: &[Self], is_empty: bool) -> Result<(), RunError> {
        if !is_empty {
            return Ok(());
        }
        let reasons: Vec<String> = all.iter().map(Self::to_string).collect();
        Err(RunError::Setting(reasons.join("; ")))
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, seed {}: {}", self.name, self.seed, self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reasons_are_an_error_where_nothing_is_left() {
        let all = [
            LeftOut::new("TFB", 3, "not trained"),
            LeftOut::new("SGLD", 0, "NaN"),
        ];
        assert!(LeftOut::unless_something_is_left(&all, false).is_ok());
        let error = LeftOut::unless_something_is_left(&all, true).unwrap_err();
        assert_eq!(
            error.to_string(),
            "TFB, seed 3: not trained; SGLD, seed 0: NaN"
        );
    }
}
