#!/usr/bin/env bash
# Builds what a machine with an NVIDIA GPU needs to test and time blitz, without Rust and without a network: one folder of at most
# 60 MiB. Copy it there and start its run.sh.
#
#   benches/gpu/pack.sh [FOLDER]      [default: benches/gpu/out]
#
#   FEATURES   Cargo features      [default: cuda,cpu,wgpu,vulkan,fusion,autotune]
#   PROFILE    Cargo profile       [default: release]
#
# Takes half an hour cold on two cores. The binaries ask for glibc 2.36 or newer, as on Debian 12 or Ubuntu 24.04.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(realpath -m "${1:-$here/out}")
features=${FEATURES:-cuda,cpu,wgpu,vulkan,fusion,autotune}
profile=${PROFILE:-release}
export CUDARC_CUDA_VERSION=${CUDARC_CUDA_VERSION:-13000}
# Relocations in a hundredth of their size, and one copy of functions that are the same: a tenth of a binary.
export RUSTFLAGS="-C link-arg=-Wl,-z,pack-relative-relocs -C link-arg=-Wl,--icf=all ${RUSTFLAGS:-}"
cd "$here/../.."

.ci/llvm
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/bin" "$out/lib"

# `--message-format` names the executables; a test's carry a hash otherwise. One choice of packages, so that Burn is built once.
packages=(-p blitz-core -p backend-tests -p blitz-benches)
executables() { # executables COMMAND...: prints "target path" for each
    cargo "$@" --locked --profile "$profile" "${packages[@]}" --features "$features" --message-format=json-render-diagnostics |
        python3 -c '
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable"):
        print(message["target"]["name"], message["target"]["kind"][0], message["executable"])'
}

# With a test, whose dependencies would otherwise give Burn other features, and build it twice.
executables build --bin on_device --test suite >"$work/list"
executables test --no-run --lib --test suite >>"$work/list"
while read -r name kind path; do
    case $name-$kind in
        on_device-bin) target=$name ;;
        blitz_core-lib | blitz-core-lib) target=kernels ;;
        # blitz-core has a suite of its own.
        suite-test) [[ $(strings -n 8 "$path" | grep -c "tests/backends/tests/suite") -gt 0 ]] && target=suite || continue ;;
        *) continue ;;
    esac
    cp "$path" "$work/bin/$target"
done <"$work/list"
strip "$work"/bin/*

# Solid, since every binary has Burn and most of an LLVM in it.
tar -C "$work/bin" --sort=name -c . | xz -T1 --lzma2=preset=6,dict=768MiB >"$out/bin.tar.xz"
cp "$here/run.sh" "$here/../peers/step.py" "$here/../peers/common.py" "$out/"

# The loader of Vulkan's drivers with what NVIDIA's driver loads, and what CubeCL links a kernel with for exponentials and the like.
for library in libvulkan.so.1 libGLdispatch.so.0 libEGL.so.1 libGLX.so.0 libGL.so.1 libOpenGL.so.0 libGLESv2.so.2; do
    path=$(ldconfig -p | sed -n "s/^.*$library .*=> //p" | head -1)
    if [[ -n $path ]]; then cp -L "$path" "$out/lib/$library"; else echo "$library is not here, and not packed" >&2; fi
done
python3 -m pip download --quiet --no-deps --only-binary :all: --dest "$work" nvidia-nvvm==13.0.88
python3 - "$work" "$out" <<'PY'
import pathlib, sys, zipfile
wheel = next(pathlib.Path(sys.argv[1]).glob("nvidia_nvvm*.whl"))
with zipfile.ZipFile(wheel) as archive:
    name = next(name for name in archive.namelist() if name.endswith("libdevice.10.bc"))
    pathlib.Path(sys.argv[2], "libdevice.10.bc").write_bytes(archive.read(name))
PY
# The peers are plain Python; PyTorch is too large to bring.
python3 -m pip download --quiet --no-deps --only-binary :all: --dest "$out" $(grep -E '^(blitz-bayesian-pytorch|bayesian-torch)==' "$here/../peers/requirements.txt")

size=$(du -sm "$out" | cut -f1)
echo "$out: $size MiB"
[[ $size -le 60 ]] || { echo "more than 60 MiB" >&2; exit 1; }
