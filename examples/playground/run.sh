#!/usr/bin/env bash
# Builds the page and serves it. Needs Node 18 or later, and the target: rustup target add wasm32-unknown-unknown.
#
#   run.sh [--build-only] [PORT]
#
# The port is 8080 unless another is named; 0 is any that is free. The page lies in runs/playground: any web server can serve that folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

target=${CARGO_TARGET_DIR:-target}
folder=runs/playground
port=8080
run=true
for option in "$@"; do
    case $option in
        --build-only) run=false ;;
        -h | --help)
            sed -n '2,/^set /{s/^# \{0,1\}//p}' examples/playground/run.sh
            exit
            ;;
        *) port=$option ;;
    esac
done
# What is wrong is said before the build, which takes minutes.
[[ $port =~ ^[0-9]{1,5}$ ]] && ((10#$port < 65536)) || {
    echo "“$port” is no port: run.sh [--build-only] [PORT], with a number up to 65535" >&2
    exit 2
}
if $run && ! command -v node >/dev/null; then
    echo "node is missing, which serves the page: install it, or build alone with --build-only" >&2
    exit 1
fi

# This target has no source of randomness, and getrandom wants to be told of one: the module's own, which asks its host.
# Debug information would be larger than the program.
CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS='--cfg getrandom_backend="custom"' \
    CARGO_PROFILE_RELEASE_DEBUG=false CARGO_PROFILE_RELEASE_STRIP=true \
    cargo build --release -p playground --lib --target wasm32-unknown-unknown

mkdir -p "$folder"
cp examples/playground/page/* "$target/wasm32-unknown-unknown/release/playground.wasm" "$folder"
$run || exit 0
exec node examples/playground/serve.mjs "$folder" "$port"
