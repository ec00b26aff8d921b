#!/usr/bin/env bash
# Counts what a training step uploads to a device and reads from it, with gdb: every upload of CubeCL passes through Client::do_create or
# do_create_from_slices, every read through do_read. Prints the difference between two trainings of different lengths, by thread.
#
#   benches/gpu/transfers.sh [DEVICE]      [default: wgpu]
#
#   FEATURES   Cargo features              [default: wgpu,cpu,cuda,fusion, as .ci/run builds them]
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
device=${1:-wgpu}
features=${FEATURES:-wgpu,cpu,cuda,fusion}
export CUDARC_CUDA_VERSION=${CUDARC_CUDA_VERSION:-13000}
command -v gdb >/dev/null || { echo "gdb is missing" >&2; exit 1; }
program=$(cargo build -p blitz-core -p backend-tests --features "$features" --example transfers --message-format=json-render-diagnostics |
    python3 -c '
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable"):
        print(message["executable"])')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/count.py" <<'PY'
import collections, gdb, json, subprocess

program = gdb.current_progspace().filename
# Without debug information gdb knows a function by its mangled name.
mangled, plain = (
    [line.split()[-1] if not options else line.split(maxsplit=2)[-1] for line in subprocess.check_output(["nm", *options, "--defined-only", "-p", program], text=True).splitlines()]
    for options in ([], ["-C"]))
symbols = dict(zip(plain, mangled))

class Count(gdb.Breakpoint):
    def __init__(self, function):
        super().__init__(symbols["cubecl_runtime::client::Client::" + function])
        self.silent = True
        self.calls = collections.Counter()

    def stop(self):
        self.calls[gdb.selected_thread().name] += 1
        return False

counts = {function: Count(function) for function in ["do_create", "do_create_from_slices", "do_read"]}
gdb.execute("run")
print("COUNTS " + json.dumps({function: count.calls for function, count in counts.items()}))
PY
for steps in 10 30; do
    gdb -batch -x "$work/count.py" --args "$program" "$device" "$steps" 2>&1 | tee "$work/log" | sed -n 's/^COUNTS //p' >"$work/$steps"
    grep -q "$steps steps" "$work/log" || { cat "$work/log" >&2; exit 1; }
done
python3 - "$work/10" "$work/30" <<'PY'
import json, sys

short, long = (json.load(open(path)) for path in sys.argv[1:])
print(f"{'call':24}{'thread':18}{'in 10 steps':>12}{'in 30':>8}{'a step':>8}")
for function in long:
    for thread in sorted(long[function] | short[function]):
        few, many = short[function].get(thread, 0), long[function].get(thread, 0)
        print(f"{function:24}{thread:18}{few:12}{many:8}{(many - few) / 20:8.2f}")
PY
