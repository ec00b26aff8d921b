//! The programs of `benches/gpu` in one, which runs the one by whose name it is called: nearly all of each is Burn and
//! an LLVM.

use std::path::Path;
use std::process::ExitCode;

use blitz_benches::programs::{backends, normals, workload};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let called = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&called).file_name().unwrap_or_default();
    match name.to_str() {
        Some("backends") => backends::main(),
        Some("normals") => normals::main(),
        Some("workload") => workload::main(),
        Some("regression") => return regression::main(),
        _ => {
            eprintln!("call it by a link: backends, normals, regression or workload");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
