//! The search for the prior precision: by the marginal likelihood, or by predictions of held-out examples.

pub(super) mod evidence;
pub(super) mod held_out;
