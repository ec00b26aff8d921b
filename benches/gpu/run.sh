#!/usr/bin/env bash
# Tests and times blitz on the devices of this machine, with what pack.sh put beside this file. About eight minutes.
#
#   ./run.sh [DEVICE ...]      [default: cuda wgpu vulkan]
#
#   OUT    where the log goes   [default: a folder of its own under /tmp]
#
# Every part has a limit of its own, so that one that hangs leaves the others their time.
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
devices=("${@:-cuda}")
[[ $# -gt 0 ]] || devices=(cuda wgpu vulkan)
work=$(mktemp -d)
out=${OUT:-$work}
export HOME=$work XDG_RUNTIME_DIR=$work RUST_BACKTRACE=1
exec > >(tee "$out/log") 2>&1

part() { printf '\n=== %s [%d s]\n' "$*" "$SECONDS"; }
limit() { # limit SECONDS COMMAND...
    local status
    timeout -k 5 "$@"
    status=$?
    [[ $status -eq 0 ]] || echo "--- exit status $status: ${*:2}"
}

part "the machine"
nvidia-smi 2>/dev/null || echo "no nvidia-smi"
lscpu | sed -n 's/^Model name: *//p'
nproc
tar -C "$work" -xf "$here/bin.tar.xz" ||
    python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])' "$here/bin.tar.xz" "$work"
cd "$work" || exit 1

# A container may have the driver's libraries outside of the loader's path.
libraries=$here/lib
for name in libcuda.so.1 libvulkan.so.1; do
    ldconfig -p | grep -q "$name" && continue
    found=$(find /usr /opt -xdev -name "$name" -not -path '*/stubs/*' 2>/dev/null | head -1)
    [[ -z $found ]] || libraries=$(dirname "$found"):$libraries
done
export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$libraries
driver=/usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json
[[ ! -e $driver ]] || export VK_DRIVER_FILES=$driver
# What CubeCL asks of a CUDA toolkit.
if [[ -z ${CUDA_PATH:-} ]]; then
    mkdir -p cuda/nvvm/libdevice
    cp "$here/libdevice.10.bc" cuda/nvvm/libdevice/
    export CUDA_PATH=$work/cuda
fi
for binary in normals backends workload regression suite device kernels; do
    [[ -x $binary ]] || echo "$binary is missing"
done
ldd backends | grep "not found"

part "which devices there are"
limit 20 ./device
for device in "${devices[@]}"; do
    part "$device: the kernels"
    BLITZ_TEST_DEVICES=$device limit 60 ./kernels --test-threads 4 cube
    part "$device: draws, steps and saved models"
    BLITZ_TEST_DEVICES=$device limit 60 ./suite --test-threads 4
done

part "bits and speed of normals, draws and KLs"
for device in flex "${devices[@]}"; do
    limit 30 ./normals "$device"
done

part "what the fused operations cost"
for device in flex "${devices[@]}"; do
    limit 40 ./backends "$device"
done

part "training steps, Bayesian and deterministic"
for device in flex "${devices[@]}"; do
    for batch in 128 1024; do
        for net in mlp-784-400-400-10 mlp-784-4096-4096-10 lenet-5; do
            [[ $device = flex && $net$batch != mlp-784-400-400-10128 ]] && continue
            limit 25 ./workload "$net" --device "$device" --batch "$batch" --layers shared --loss-draws 2
            limit 15 ./workload "$net" --device "$device" --batch "$batch" --layers deterministic --loss-draws 2
        done
    done
done

part "the README's regression"
for device in "${devices[@]}"; do
    limit 60 ./regression --device "$device" --output "regression-$device"
done

part "the peers on the same card"
if python3 -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
    for batch in 128 1024; do
        for net in mlp-784-400-400-10 mlp-784-4096-4096-10 lenet-5; do
            for peer in torch blitz bayesian_torch; do
                limit 15 python3 "$here/step.py" "$net" --device cuda --batch "$batch" --peer "$peer" --loss-draws 2
            done
        done
    done
else
    echo "no PyTorch with CUDA here"
fi

part "end: $out/log"
