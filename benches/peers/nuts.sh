#!/usr/bin/env bash
# The posterior of 13-50-1 for the Boston data by NUTS, with blitz and with numpyro in turn, on this machine.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
TARGET=${CARGO_TARGET_DIR:-target}
VENV=$TARGET/numpyro-venv

usage() {
    cat <<HELP
The posterior of 13-50-1 for the Boston data by NUTS, with blitz and with numpyro in turn, on this machine.

Usage: benches/peers/nuts.sh [OPTIONS]

Ends each with a line of JSON: seconds, microseconds of one gradient, the leapfrogs of the draws, and how far the chains agree in their predictions of the
test rows. Both have two threads. numpyro's packages go to $VENV the first time.

  --repetitions N   how often, with another seed each time [default: 1]
  --chains N        chains [default: 4]
  --warm-up N       draws of a chain in which it adapts [default: 1000]
  --draws N         draws of a chain that are kept [default: 1000]
  --help            this
HELP
}
die() { printf 'nuts.sh: %s\n' "$*" >&2; exit 2; }

repetitions=1 options=()
while (($#)); do
    case $1 in
        --help | -h) usage; exit ;;
        --repetitions | --chains | --warm-up | --draws)
            (($# > 1)) && [[ $2 =~ ^[1-9][0-9]*$ ]] || die "$1 wants a number, at least 1"
            if [[ $1 == --repetitions ]]; then repetitions=$2; else options+=("$1" "$2"); fi
            shift ;;
        *) die "unknown option $1; see --help" ;;
    esac
    shift
done

cargo build --release --quiet -p regression -p blitz-benches --bins
if [[ ! -x $VENV/bin/python ]] || ! "$VENV/bin/python" -c 'import numpyro, arviz' 2>/dev/null; then
    python3 -m venv "$VENV"
    "$VENV/bin/pip" install --quiet --requirement benches/peers/nuts-requirements.txt
fi
export RAYON_NUM_THREADS=2
for ((seed = 1; seed <= repetitions; seed++)); do
    printf 'blitz    '
    "$TARGET/release/nuts" "${options[@]}" --seed "$seed"
    printf 'numpyro  '
    "$VENV/bin/python" -W ignore benches/peers/nuts.py "${options[@]}" --seed "$seed"
done
