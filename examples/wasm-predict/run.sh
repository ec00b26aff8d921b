#!/usr/bin/env bash
# Trains a small Bayesian network natively, loads it in WebAssembly under Node, and compares the predictions. Needs Node 18 or
# later and the target: rustup target add wasm32-unknown-unknown.
#
#   run.sh [--build-only] [--release and other options of cargo]
#   WASM_PREDICT_NATIVE  the native program, if it is built already [default: build it]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

target=${CARGO_TARGET_DIR:-target}
folder=runs/wasm-predict
profile=debug
run=true
options=()
for option in "$@"; do
    case $option in
        --build-only) run=false ;;
        *) options+=("$option") ;;
    esac
    [[ $option != --release ]] || profile=release
done

# This target has no source of randomness, and getrandom wants to be told of one: the module's own, which asks its host.
CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS='--cfg getrandom_backend="custom"' \
    cargo build -p wasm-predict --lib --target wasm32-unknown-unknown "${options[@]}"
$run || exit 0

if [[ -n ${WASM_PREDICT_NATIVE:-} ]]; then
    "$WASM_PREDICT_NATIVE" "$folder"
else
    cargo run -p wasm-predict "${options[@]}" -- "$folder"
fi
node examples/wasm-predict/predict.mjs "$target/wasm32-unknown-unknown/$profile/wasm_predict.wasm" "$folder"
