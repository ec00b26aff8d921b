//! Benchmarks of blitz; see `benches/*.rs`, and `peers/` for the comparison with the Python libraries.
