//! Constants and special functions, on the host in `f64`. No tensors.

mod constants;
mod special;

pub(crate) use blitz_noise::density::{HALF_LOG_TWO_PI, NORMAL_ENTROPY};
pub(crate) use constants::{LOG_LINEAR_BELOW, LOG_LINEAR_BELOW_F64};
pub(crate) use special::{digamma, log_erfc, log_gamma};
