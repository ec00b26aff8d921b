#!/usr/bin/env bash
# Tests and times blitz on the devices of this machine, with what pack.sh put beside this file. About ten minutes.
#
#   ./run.sh [DEVICE ...]      [default: cuda vulkan]
#
#   OUT    where the log goes   [default: a folder of its own under /tmp]
#
# Every part has a limit of its own, so that one that hangs leaves the others their time.
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
devices=("$@")
[[ $# -gt 0 ]] || devices=(cuda vulkan)
work=$(mktemp -d)
out=${OUT:-$work}
export HOME=$work XDG_RUNTIME_DIR=$work RUST_BACKTRACE=1
exec > >(tee "$out/log") 2>&1
logger=$!

part() { printf '\n=== %s [%d s]\n' "$*" "$SECONDS"; }
limit() { # limit SECONDS COMMAND...
    local status
    timeout -k 5 "$@"
    status=$?
    [[ $status -eq 0 ]] || echo "--- exit status $status: ${*:2}"
}
# timed SECONDS COMMAND...: also the most memory of the card, in MiB, that was taken meanwhile.
timed() {
    printf '%s ' "${*:2}"
    nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits -lms 50 >memory 2>/dev/null &
    limit "$@" 2>errors | tail -1
    kill "$!" 2>/dev/null && wait "$!" 2>/dev/null
    [[ ! -s errors ]] || tail -3 errors
    [[ ! -s memory ]] || echo "    at most $(sort -n memory | tail -1) MiB of the card"
}
networks=(mlp-784-400-400-10 mlp-784-4096-4096-10 lenet-5)

part "the machine"
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null || echo "no nvidia-smi"
lscpu | sed -n 's/^Model name: *//p'
nproc
tar -C "$work" -xf "$here/bin.tar.xz" ||
    python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])' "$here/bin.tar.xz" "$work"
cd "$work" || exit 1

# A container may have the driver's libraries outside of the loader's path.
libraries=
ldconfig -p | grep -q libcuda.so.1 || libraries=$(dirname "$(find /usr /opt -xdev -name libcuda.so.1 -not -path '*/stubs/*' 2>/dev/null | head -1)"):
ldconfig -p | grep -q libvulkan.so.1 || libraries+=$here/lib
export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$libraries
driver=/usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json
[[ ! -e $driver ]] || export VK_DRIVER_FILES=$driver
# What CubeCL asks of a CUDA toolkit.
if [[ -z ${CUDA_PATH:-} ]]; then
    mkdir -p cuda/nvvm/libdevice
    cp "$here/libdevice.10.bc" cuda/nvvm/libdevice/
    export CUDA_PATH=$work/cuda
fi
for binary in on_device suite kernels; do
    [[ -x $binary ]] || echo "$binary is missing"
done
for program in normals backends workload regression; do
    ln -s on_device "$program"
done
ldd suite | grep "not found"

part "which devices there are"
VK_LOADER_DEBUG=error limit 20 ./suite choice:: 2>&1 | tail -15

part "the kernels; draws, steps and saved models: all devices at once"
for device in "${devices[@]}"; do
    BLITZ_TEST_DEVICES=$device limit 180 ./kernels --test-threads 4 cube >"kernels-$device" 2>&1 &
    BLITZ_TEST_DEVICES=$device limit 180 ./suite --test-threads 2 --skip choice:: >"suite-$device" 2>&1 &
done
for job in $(jobs -p); do
    # The first is the log's writer.
    [[ $job = "$logger" ]] || wait "$job"
done
for device in "${devices[@]}"; do
    for tests in kernels suite; do
        echo "$tests on $device:"
        grep -E -A 2 '^test result|FAILED|panicked|exit status' "$tests-$device"
        cp "$tests-$device" "$out/"
    done
done

part "bits and speed of normals, draws and KLs"
for device in flex "${devices[@]}"; do
    limit 30 ./normals "$device" | tail -n "$([[ $device = flex ]] && echo 5 || echo 1)"
done

steps_of() { # steps_of DEVICE BATCH
    local net layers start=$SECONDS
    # Burn times its candidates for each product first, and keeps what it found in the folder.
    for net in "${networks[@]}"; do
        mkdir -p "$net"
        printf '[environment]\npath = "local"\n[compilation]\ncache = true\n' >"$net/cubecl.toml"
        (
            cd "$net" || exit
            for layers in shared deterministic; do
                limit 120 ../workload "$net" --device "$1" --batch "$2" --layers "$layers" --loss-draws 2 --seconds 0.1
            done
        ) >"tuning-$net" 2>&1 &
    done
    for net in $(jobs -p); do
        [[ $net = "$logger" ]] || wait "$net"
    done
    echo "candidates on $1 at batch $2: $((SECONDS - start)) s"
    for net in "${networks[@]}"; do
        for layers in shared deterministic; do
            cd "$net" || return
            timed 25 ../workload "$net" --device "$1" --batch "$2" --layers "$layers" --loss-draws 2 --seconds 1
            cd ..
        done
    done
}
part "training steps, Bayesian and deterministic"
timed 25 ./workload "${networks[0]}" --device flex --batch 128 --layers shared --loss-draws 2 --seconds 1
steps_of "${devices[0]}" 128
steps_of "${devices[0]}" 1024

part "the peers on the same card, with TF32 as Burn has it"
peers=$(printf '%s:' "$here"/*.whl)
if python3 -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
    for batch in 128 1024; do
        for net in "${networks[@]}"; do
            for peer in torch blitz bayesian_torch; do
                PYTHONPATH=$peers timed 20 python3 "$here/step.py" "$net" --device cuda --tf32 --batch "$batch" --peer "$peer" --loss-draws 2 --seconds 1
            done
        done
    done
else
    echo "no PyTorch with CUDA here"
fi

part "what the fused operations cost"
for device in flex "${devices[@]}"; do
    limit 40 ./backends "$device" | tail -n "$([[ $device = flex ]] && echo 3 || echo 1)"
done

part "training steps on the other devices"
for device in "${devices[@]:1}"; do
    steps_of "$device" 128
done

part "the README's regression"
for device in "${devices[@]}"; do
    limit 60 ./regression --device "$device" --out "regression-$device" 2>&1 | tail -25
done

part "end: $out/log"
