//! What a device makes of the same seed, and how fast.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    blitz_benches::programs::normals::main();
}
