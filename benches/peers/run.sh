#!/usr/bin/env bash
# Times blitz's examples beside the same work done by its Python peers, on this machine, in one run.
set -euo pipefail

FROM=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
PEERS=benches/peers
TARGET=${CARGO_TARGET_DIR:-target}
VENV=$TARGET/peers-venv
RUNS=$TARGET/peers-runs

# Our side: how it is built, and each workload's command; it must end with one line of JSON.
OURS_BUILD=(cargo build --release --quiet -p regression -p blitz-benches --bins)
OURS_REGRESSION=("$TARGET/release/regression" --json --split readme --hidden 512 --epochs 100 --samples 3
    --batch-size 16 --lr 0.01 --predict-samples 100)
ours() { "$TARGET/release/workload" "$@"; }

# A workload is a name here and a function `<workload>_<side>` for each side that has it; a side without one shows as
# "-" in the table and as null in the JSON. A function gets the seed as $1 and a scratch folder as $2, and ends its
# output with a line of JSON, with the time of one repeated unit (PER) as `ms` or `seconds_per_epoch`.
# `deterministic` is Burn's own layers, `torch_deterministic` PyTorch's.
SIDES=(ours deterministic blitz bayesian_torch torch_deterministic)
STEPS=(mlp-13-512-1 mlp-784-400-400-10 mlp-784-1200-1200-10 lenet-5 lstm-32-128)
PREDICTIONS=(predict-784-400-400-10)
FLIPOUT=("${STEPS[@]/%/-flipout}")
# A recurrent layer has no local reparameterization.
LOCAL=(mlp-13-512-1-local mlp-784-400-400-10-local mlp-784-1200-1200-10-local lenet-5-local)
IVON=("${STEPS[@]/%/-ivon}")
WORKLOADS=("${STEPS[@]}" "${PREDICTIONS[@]}" "${FLIPOUT[@]}" "${LOCAL[@]}" "${IVON[@]}" regression regression_default_kl)
declare -A PER=([regression]=epoch [regression_default_kl]=epoch)

for workload in "${STEPS[@]}" "${PREDICTIONS[@]}"; do
    [[ $workload == predict-* ]] && PER[$workload]=prediction || PER[$workload]=step
    eval "${workload}_ours() { ours $workload --layers shared --seed \"\$1\"; }
        ${workload}_deterministic() { ours $workload --layers deterministic; }
        ${workload}_blitz() { peer step.py $workload --peer blitz --seed \"\$1\"; }
        ${workload}_bayesian_torch() { peer step.py $workload --peer bayesian_torch --seed \"\$1\"; }
        ${workload}_torch_deterministic() { peer step.py $workload --peer torch --seed \"\$1\"; }"
done
# Of the peers, bayesian-torch has flipout that is right; nobody has local reparameterization.
for workload in "${STEPS[@]}"; do
    PER[$workload-flipout]=step
    eval "${workload}-flipout_ours() { ours $workload --layers flipout --seed \"\$1\"; }
        ${workload}-flipout_deterministic() { ours $workload --layers deterministic; }
        ${workload}-flipout_bayesian_torch() { peer step.py $workload --peer bayesian_torch --estimator flipout --seed \"\$1\"; }"
done
for workload in "${LOCAL[@]}"; do
    PER[$workload]=step
    eval "${workload}_ours() { ours ${workload%-local} --layers local --seed \"\$1\"; }
        ${workload}_deterministic() { ours ${workload%-local} --layers deterministic; }"
done

# IVON beside Burn's deterministic layers with Burn's Adam: it is to cost what that costs.
for workload in "${IVON[@]}"; do
    PER[$workload]=step
    eval "${workload}_ours() { ours ${workload%-ivon} --layers ivon --seed \"\$1\"; }
        ${workload}_deterministic() { ours ${workload%-ivon} --layers deterministic; }"
done

# BLiTZ's README example, 13 -> 512 -> 1, with the KL divided by the number of rows, as in our example's objective.
regression_ours() { "${OURS_REGRESSION[@]}" --seed "$1" --out "$2"; }
regression_blitz() { peer blitz_regression.py --seed "$1" --kl-weight 1/N; }

# The same with the KL weight that BLiTZ's README leaves at its default of 1. Only BLiTZ's quality is of interest here.
regression_default_kl_blitz() { peer blitz_regression.py --seed "$1" --kl-weight 1; }

DATA=
REPEAT=3
THREADS=2

usage() {
    cat <<EOF
Times blitz's examples beside the same work done by its Python peers, on this machine, in one run:
every repetition runs ours, then each peer, and the table shows medians.

Usage: $PEERS/run.sh [OPTIONS]

  --only WORKLOAD  run this workload only; may be repeated:
                   ${WORKLOADS[*]}
  --sides LIST     run these sides only, separated by commas (${SIDES[*]})
  --repeat N       repetitions of everything [default: $REPEAT]
  --json FILE      also write the results to FILE, as a list of objects
  --data FILE      CSV file for the peers' regression [default: the one that examples/regression ships]
  --help           print this

The Python packages of $PEERS/requirements.txt go into $VENV, once, if a peer is run; remove that folder to have them installed anew.
EOF
}

say() { printf '%s\n' "$*" >&2; }
die() { say "run.sh: $*"; exit 1; }
# A path that is named from where the caller stands.
path() { [[ $1 == /* ]] && printf %s "$1" || printf %s "$FROM/$1"; }

peer() {
    local script=$1
    shift
    [[ $script != *_regression.py || -z $DATA ]] || set -- "$@" --data "$DATA"
    "$VENV/bin/python" "$PEERS/$script" --threads "$THREADS" "$@"
}

wanted() { # wanted ITEM LIST...: whether ITEM is in the list, or the list is empty
    local item=$1 other
    shift
    (($#)) || return 0
    for other; do [[ $other != "$item" ]] || return 0; done
    return 1
}

only=() sides=() json=
while (($#)); do
    case $1 in
        --help | -h) usage; exit ;;
        --only | --sides | --repeat | --json | --data) (($# > 1)) || die "$1 wants a value" ;;&
        --only) only+=("$2"); wanted "$2" "${WORKLOADS[@]}" || die "no workload $2; there are: ${WORKLOADS[*]}" ;;
        --sides)
            IFS=, read -ra sides <<<"$2"
            for side in "${sides[@]}"; do
                wanted "$side" "${SIDES[@]}" || die "no side $side; there are: ${SIDES[*]}"
            done ;;
        --repeat) REPEAT=$2; [[ $REPEAT =~ ^[1-9][0-9]*$ ]] || die "--repeat wants a number above 0" ;;
        # Before the measurements, which take their time.
        --json) json=$(path "$2"); : >>"$json" || die "cannot write $json" ;;
        --data) DATA=$(path "$2"); [[ -r $DATA ]] || die "cannot read $DATA" ;;
        *) die "unknown option $1; see --help" ;;
    esac
    shift 2
done

# One set of rules for everybody: two threads, no GPU.
export OMP_NUM_THREADS=$THREADS RAYON_NUM_THREADS=$THREADS CUDA_VISIBLE_DEVICES=

# Whether a run that was asked for is a peer's.
wants_peers() {
    local workload side
    for workload in "${WORKLOADS[@]}"; do
        wanted "$workload" "${only[@]}" || continue
        for side in blitz bayesian_torch torch_deterministic; do
            wanted "$side" "${sides[@]}" && declare -F "${workload}_${side}" >/dev/null && return
        done
    done
    return 1
}

prepare_python() {
    local stamp=$VENV/installed.txt
    if cmp -s "$PEERS/requirements.txt" "$stamp"; then
        say "python: using $VENV"
        return
    fi
    say "python: installing the peers into $VENV (several GB with PyTorch, some minutes)"
    python3 -m venv "$VENV"
    "$VENV/bin/pip" install --quiet --disable-pip-version-check -r "$PEERS/requirements.txt"
    cp "$PEERS/requirements.txt" "$stamp"
}

measure() { # measure WORKLOAD SIDE REPETITION: runs one process and keeps its last line and its wall time
    local name=$1.$2.$3 start end
    local scratch=$RUNS/$name
    mkdir -p "$scratch"
    start=$EPOCHREALTIME
    if ! "$1_$2" "$3" "$scratch" >"$RUNS/$name.out" 2>"$RUNS/$name.err"; then
        tail -n 20 "$RUNS/$name.out" "$RUNS/$name.err" >&2
        die "$1 of $2 failed; its whole output is in $RUNS/$name.out and .err"
    fi
    end=$EPOCHREALTIME
    # The separator of EPOCHREALTIME is the locale's; without it the value is in microseconds.
    printf '{"workload": "%s", "per": "%s", "side": "%s", "process_us": %d, "result": %s}\n' \
        "$1" "${PER[$1]}" "$2" "$((${end//[!0-9]/} - ${start//[!0-9]/}))" "$(tail -n 1 "$RUNS/$name.out")" \
        >>"$RUNS/measurements.jsonl"
}

rm -rf "$RUNS"
mkdir -p "$RUNS"
python=python3
if wants_peers; then
    prepare_python
    python=$VENV/bin/python
fi
if wanted ours "${sides[@]}" || wanted deterministic "${sides[@]}"; then
    say "rust: ${OURS_BUILD[*]}"
    "${OURS_BUILD[@]}"
fi

# PyTorch's threads wait by spinning: one other busy process multiplies its times, and not everybody's alike.
if [[ -r /proc/loadavg ]]; then
    read -r load _ </proc/loadavg
    say "load before the first run: $load"
    [[ $load == 0.* ]] || say "the machine is busy: these times will mean little"
fi

for workload in "${WORKLOADS[@]}"; do
    wanted "$workload" "${only[@]}" || continue
    for ((repetition = 1; repetition <= REPEAT; repetition++)); do
        for side in "${SIDES[@]}"; do
            wanted "$side" "${sides[@]}" || continue
            declare -F "${workload}_${side}" >/dev/null || continue
            say "$workload $repetition/$REPEAT: $side"
            measure "$workload" "$side" "$repetition"
        done
    done
done

[[ -s $RUNS/measurements.jsonl ]] || die "none of those sides has that workload"
"$python" "$PEERS/summarize.py" "$RUNS/measurements.jsonl" --sides "${SIDES[@]}" ${json:+--json "$json"}
