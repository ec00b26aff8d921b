//! The same draws, KLs and gradients on every device of the build as on Flex, the reference.
//!
//! The test of wgpu runs on whichever adapter there is, such as Mesa's software Vulkan.
#![cfg(feature = "flex")]

mod choice;
mod devices;
mod draws;
mod noise;
#[cfg(feature = "fusion")]
mod plans;
mod saved;
mod step;
mod training;
