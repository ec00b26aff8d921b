//! What the fused operations cost on a backend.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    blitz_benches::programs::backends::main();
}
