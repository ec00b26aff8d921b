//! A trained transformer, a few labels and LoRA: how sure is each method of what it learnt?

use std::process::ExitCode;

use clap::Parser;
use example_support::exit_code;
use finetune::Cli;

// The system's allocator gives every large tensor back to the kernel, and page faults then double the time of a step.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    exit_code("finetune", finetune::run(&cli))
}
