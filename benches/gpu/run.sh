#!/usr/bin/env bash
# Tests and times blitz on the devices of this machine, with what pack.sh put beside this file. About ten minutes.
#
#   ./run.sh [DEVICE ...]      [default: cuda vulkan]
#
#   OUT     where the log goes   [default: a folder of its own under /tmp]
#   PARTS   which parts          [default: tests candidates normals steps peers costs regression]
#
# Every part has a limit of its own, so that one that hangs leaves the others their time. Steps are timed on the first device. Burn times its
# candidates for each product before, and keeps what it found: tuned.tar, beside the log. Where a tuned.tar lies beside this file, it is used.
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
devices=("$@")
[[ $# -gt 0 ]] || devices=(cuda vulkan)
work=$(mktemp -d)
out=${OUT:-$work}
parts=" ${PARTS:-tests candidates normals steps peers costs regression} "
export HOME=$work XDG_RUNTIME_DIR=$work RUST_BACKTRACE=1
exec > >(tee "$out/log") 2>&1

part() { printf '\n=== %s [%d s]\n' "$*" "$SECONDS"; }
wanted() { [[ $parts = *" $1 "* ]]; }
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
# Network, batch, type, and what the network is made of.
steps=(
    "mlp-784-400-400-10 128 f32 shared deterministic local ivon"
    "mlp-784-4096-4096-10 128 f32 shared deterministic ivon"
    "lenet-5 128 f32 shared deterministic"
    "mlp-784-400-400-10 1024 f32 shared deterministic"
    "mlp-784-4096-4096-10 1024 f32 shared deterministic"
    "lenet-5 1024 f32 shared deterministic"
    "mlp-784-4096-4096-10 1024 bf16 shared deterministic"
    "predict-784-400-400-10 256 f32 shared deterministic"
)
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

# A step is run in the folder of what Burn found for its products.
cat >step <<'SH'
#!/usr/bin/env bash
# step DEVICE NET BATCH TYPE LAYERS SECONDS
options=(--device "$1" --dtype "$4" --layers "$5" --loss-draws 2 --seconds "$6")
[[ $2 = predict-* ]] || options+=(--batch "$3")
exec ../workload "$2" "${options[@]}"
SH
chmod +x step
for step in "${steps[@]}"; do
    read -r net batch type _ <<<"$step"
    mkdir -p "$net-$batch-$type"
    printf '[environment]\npath = "local"\n[compilation]\ncache = true\n' >"$net-$batch-$type/cubecl.toml"
done
[[ ! -e $here/tuned.tar ]] || tar -xf "$here/tuned.tar"

jobs=()
if wanted tests; then
    for device in "${devices[@]}"; do
        BLITZ_TEST_DEVICES=$device limit 200 ./kernels --test-threads 4 cube >"kernels-$device" 2>&1 &
        jobs+=($!)
        BLITZ_TEST_DEVICES=$device limit 200 ./suite --test-threads 3 --skip choice:: >"suite-$device" 2>&1 &
        jobs+=($!)
    done
fi
if wanted candidates; then
    for step in "${steps[@]}"; do
        read -r net batch type layers <<<"$step"
        (
            cd "$net-$batch-$type" || exit
            SECONDS=0
            for layer in $layers; do
                timeout -k 5 200 ../step "${devices[0]}" "$net" "$batch" "$type" "$layer" 0.1
                echo "$layer: exit status $?, after $SECONDS s"
            done
        ) >"candidates-$net-$batch-$type" 2>&1 &
        jobs+=($!)
    done
fi
part "the kernels; draws, steps and saved models; and the candidates for each product: all at once"
for job in "${jobs[@]}"; do
    wait "$job"
done
for device in "${devices[@]}"; do
    for tests in kernels suite; do
        [[ -e $tests-$device ]] || continue
        echo "$tests on $device:"
        grep -E -A 2 '^test result|FAILED|panicked|exit status' "$tests-$device"
        cp "$tests-$device" "$out/"
    done
done
for log in candidates-*; do
    [[ ! -e $log ]] || { echo "$log:" && grep -vE '^\{' "$log" | tail -n 6; }
done
find . -mindepth 2 -type f \( -name '*.db*' -o -path '*/environment/*' \) -print0 | tar -cf "$out/tuned.tar" --null -T - 2>/dev/null

if wanted normals; then
    part "bits and speed of normals, draws and KLs"
    for device in flex "${devices[@]}"; do
        limit 30 ./normals "$device" | tail -n "$([[ $device = flex ]] && echo 5 || echo 1)"
    done
fi

if wanted steps; then
    part "training steps, and 100 draws of a prediction"
    for step in "${steps[@]}"; do
        read -r net batch type layers <<<"$step"
        for layer in $layers; do
            cd "$net-$batch-$type" || exit
            timed 20 ../step "${devices[0]}" "$net" "$batch" "$type" "$layer" 1
            cd ..
        done
    done
fi

if wanted peers; then
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
fi

if wanted costs; then
    part "what the fused operations cost"
    for device in flex "${devices[@]}"; do
        limit 40 ./backends "$device" | tail -n "$([[ $device = flex ]] && echo 3 || echo 1)"
    done
fi

if wanted regression; then
    part "the README's regression"
    for device in "${devices[@]}"; do
        limit 60 ./regression --device "$device" --out "regression-$device" 2>&1 | tail -25
    done
fi

part "end: $out/log"
