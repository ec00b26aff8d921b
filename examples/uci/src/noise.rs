//! What the noise on the targets depends on.

use clap::ValueEnum;
use serde::Serialize;

/// The noise on the targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Noise {
    /// One number.
    One,
    /// A function of the inputs.
    Inputs,
}

impl Noise {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
    /// Whether it is one number.
    pub fn is_one(&self) -> bool {
        *self == Self::One
    }
}
