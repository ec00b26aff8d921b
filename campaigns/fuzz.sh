#!/usr/bin/env bash
# Every reader of files under libFuzzer: builds the campaigns with counters of what code is reached, then runs the campaign `fuzz`.
#
#   campaigns/fuzz.sh [OPTIONS]   those of `campaigns fuzz`, as --seconds 600 --jobs 2 --reader CSV; --help lists them
#
# The first time Burn is built with the counters, some fifteen minutes. libFuzzer comes as the source of the crate `libfuzzer-sys`, for which
# a C++ compiler is needed; what counts is part of every Rust compiler.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
command -v c++ >/dev/null || { echo "libFuzzer is built by a C++ compiler, and there is none: install g++" >&2; exit 1; }
host=$(rustc -vV | sed -n "s/^host: //p")
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/fuzzed" CARGO_INCREMENTAL=0
export RUSTFLAGS="-Cpasses=sancov-module"
for option in level=4 inline-8bit-counters pc-table trace-compares; do
    RUSTFLAGS+=" -Cllvm-args=-sanitizer-coverage-$option"
done
# Fast enough for thousands of inputs a second, and with the checks of a test.
export CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_DEBUG=false
export CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=true
# With a target named, build scripts and macros are built without the counters.
cargo build --release --locked --target "$host" -p campaigns --features fuzz
exec "$CARGO_TARGET_DIR/$host/release/campaigns" fuzz "$@"
