//! Constants and special functions, on the host in `f64`. No tensors.

mod constants;
mod special;

pub(crate) use constants::{LOG_LINEAR_BELOW, half_log_two_pi};
pub(crate) use special::{digamma, log_erfc, log_gamma};
