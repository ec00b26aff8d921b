//! Milliseconds: `std`'s clock does not run on `wasm32-unknown-unknown`, whose host has one.

/// Milliseconds since some moment in the past.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn now() -> f64 {
    use std::sync::OnceLock;
    use std::time::Instant;

    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs_f64() * 1e3
}

#[cfg(target_family = "wasm")]
pub(crate) use crate::wasm::now;
