#!/usr/bin/env bash
# The long campaigns, one after the other. Exits with 1 if any missed a goal.
#
#   campaigns/long.sh [MINUTES]   for each [default: 10]
#   SEED                          decides the trials [default: 1]
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# All packages are named, so that their features are those of the tests and Burn is built once.
cargo test --workspace --test campaigns --test program --no-run
program=${CARGO_TARGET_DIR:-target}/debug/campaigns
status=0
for campaign in kill programs damage disk memory inference threads; do
    "$program" "$campaign" --seconds "$((60 * ${1:-10}))" --seed "${SEED:-1}" || status=1
done
exit "$status"
