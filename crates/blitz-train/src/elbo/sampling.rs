//! How the draws of a training step depend on each other.

use serde::{Deserialize, Deserializer, Serialize};

/// How the draws of a training step depend on each other.
///
/// A saved configuration without a word of it has independent draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub enum Sampling {
    /// Not at all.
    #[default]
    Independent,
    /// In pairs: draw 2k + 1 is the reflection of draw 2k. Unbiased, and with less variance as long as the deviations
    /// are small; see
    /// [`Draw::antithetic`](blitz_layers::blitz_core::Draw::antithetic).
    Antithetic,
}

impl<'de> Deserialize<'de> for Sampling {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        enum Named {
            Independent,
            Antithetic,
        }
        // Only what may be missing reads as an `Option`.
        Ok(match Option::deserialize(deserializer)? {
            None | Some(Named::Independent) => Self::Independent,
            Some(Named::Antithetic) => Self::Antithetic,
        })
    }
}
