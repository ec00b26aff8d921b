//! A Bayesian regressor on Burn, trained by Burn's Learner with the ELBO, with intervals one can defend.

use std::process::ExitCode;

// The system's allocator gives every large tensor back to the kernel, and page faults then double the time of a step.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    regression::main()
}
