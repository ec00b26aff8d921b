//! Families of distributions over the weights of one tensor, as plain mathematics: how to draw from a posterior, what
//! its density and moments are, what a prior's density is.
//!
//! A family knows of no draw, no module and no KL. It says by its *form* which named family it is, and what it says of
//! itself is all that the KL of a pair is made of. Noise comes to it as [`Noise`], deviations by [`deviation`]: both
//! know the fused operations, so that a family need not.

pub mod deviation;

pub(crate) mod constants;
mod marginals;
mod nats;
mod noise;
pub(crate) mod posterior;
mod precision;
pub(crate) mod prior;
mod reflection;
mod rows;
mod sum;

pub use constants::{ConstantError, Constants, refused_constants};
pub use marginals::{MarginalFamily, Marginals};
pub use nats::Nats;
pub use noise::Noise;
pub use precision::{at_least_f32, in_type_of, type_of_numbers};
pub(crate) use precision::{in_one_type, scale_type, unpacked, widest};
pub(crate) use reflection::reflected;
pub(crate) use rows::select_rows;
pub(crate) use sum::square_sum;
