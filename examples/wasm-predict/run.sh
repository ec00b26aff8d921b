#!/usr/bin/env bash
# Trains a small Bayesian network natively, loads it in WebAssembly under Node, and compares the predictions. Needs Node 18 or
# later and the target: rustup target add wasm32-unknown-unknown.
#
#   run.sh [--build-only] [--release, --profile NAME and other options of cargo]
#   WASM_PREDICT_NATIVE  the native program, if it is built already [default: build it]
#   WASM_RUSTFLAGS       what else rustc gets, such as -D warnings [default: nothing]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

target=${CARGO_TARGET_DIR:-target}
folder=runs/wasm-predict
profile=debug
run=true
options=()
while (($# > 0)); do
    case $1 in
        --build-only) run=false ;;
        -h | --help)
            sed -n '2,/^set /{s/^# \{0,1\}//p}' examples/wasm-predict/run.sh
            exit
            ;;
        -r | --release) profile=release ;;
        --profile) profile=${2:-} ;;
        --profile=*) profile=${1#*=} ;;
    esac
    [[ $1 == --build-only ]] || options+=("$1")
    shift
done
# The folders of the profiles that cargo has by itself.
case $profile in
    dev | test) profile=debug ;;
    bench) profile=release ;;
esac

# This target has no source of randomness, and getrandom wants to be told of one: the module's own, which asks its host.
CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="--cfg getrandom_backend=\"custom\" ${WASM_RUSTFLAGS:-}" \
    cargo build -p wasm-predict --lib --target wasm32-unknown-unknown "${options[@]}"
$run || exit 0

if [[ -n ${WASM_PREDICT_NATIVE:-} ]]; then
    "$WASM_PREDICT_NATIVE" "$folder"
else
    cargo run -p wasm-predict "${options[@]}" -- "$folder"
fi
node examples/wasm-predict/predict.mjs "$target/wasm32-unknown-unknown/$profile/wasm_predict.wasm" "$folder"
