//! One workload of the comparison with the Python peers.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    blitz_benches::programs::workload::main();
}
