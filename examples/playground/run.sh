#!/usr/bin/env bash
# Builds the page and serves it. Needs Node 18 or later, and the target: rustup target add wasm32-unknown-unknown.
#
#   run.sh [--build-only] [PORT]
#
# The port is 8080 unless another is named. The page lies in runs/playground: any web server can serve that folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

target=${CARGO_TARGET_DIR:-target}
folder=runs/playground
port=8080
run=true
for option in "$@"; do
    case $option in
        --build-only) run=false ;;
        *) port=$option ;;
    esac
done

# This target has no source of randomness, and getrandom wants to be told of one: the module's own, which asks its host.
# Debug information would be larger than the program.
CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS='--cfg getrandom_backend="custom"' \
    CARGO_PROFILE_RELEASE_DEBUG=false CARGO_PROFILE_RELEASE_STRIP=true \
    cargo build --release -p playground --lib --target wasm32-unknown-unknown

mkdir -p "$folder"
cp examples/playground/page/* "$target/wasm32-unknown-unknown/release/playground.wasm" "$folder"
$run || exit 0
exec node examples/playground/serve.mjs "$folder" "$port"
