//! A page to play with: a small network learns points that are clicked into a picture, by six ways to a posterior at
//! once, and their bands move beside each other. [`Playground`] is all of it but the page; `wasm.rs` is its interface
//! for a host of WebAssembly.

mod clock;
mod data;
mod net;
mod playground;
mod settings;
mod start;
#[cfg(target_family = "wasm")]
mod wasm;
mod ways;

pub use data::{FRAME, MOST_POINTS, Point};
pub use playground::{Band, Playground};
pub use settings::{InputError, Settings};
pub use ways::Method;
