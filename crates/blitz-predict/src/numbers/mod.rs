//! What is computed of numbers of any size, where a difference, a square or a sum of them may be too large for a
//! number, or too small.

mod difference;
mod magnitude;
mod mean;
mod root_mean_square;
mod unit;

pub(crate) use difference::{between, in_units, out_of_units, share};
pub(crate) use magnitude::{exponent, times_power_of_two};
pub(crate) use mean::mean;
pub(crate) use root_mean_square::root_mean_square;
pub(crate) use unit::unit;
