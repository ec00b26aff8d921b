"""How the time and the memory of a training step grow with the width, the samples and the batch: ours, Burn's deterministic, the peers'.

Run it with the Python of run.sh's environment, after run.sh has built our side:

    target/peers-venv/bin/python benches/peers/growth.py --out growth.png

784-W-W-10 with a batch of 128 and one sample, one of the three changed at a time. Two threads for all. The memory is the peak of what the
process holds beyond what it held before the network was made, so small nets show the libraries' own.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

HERE = Path(__file__).parent
SWEEPS = {
    "width": [256, 512, 1024, 2048, 4096],
    "samples": [1, 3, 10, 30, 100],
    "batch": [16, 64, 256, 1024],
}
# The width of the sweeps over samples and batch.
WIDTH = 400
SIDES = {
    "blitz (ours)": ("ours", "shared", "#0072B2", "o"),
    "Burn, deterministic": ("ours", "deterministic", "#56B4E9", "s"),
    "BLiTZ": ("blitz", None, "#D55E00", "^"),
    "bayesian-torch": ("bayesian_torch", None, "#009E73", "v"),
}


def measure(side, layers, binary, sweep, value, seconds):
    width = value if sweep == "width" else WIDTH
    options = [f"mlp-784-{width}-{width}-10", "--seconds", str(seconds), "--loss-draws", "2"]
    if sweep != "width":
        options += [f"--{sweep}", str(value)]
    command = [binary, *options, "--layers", layers] if side == "ours" else [sys.executable, HERE / "step.py", *options, "--peer", side]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return json.loads(lines[-1])


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--binary", default="target/release/workload", help="our side")
    options.add_argument("--seconds", type=float, default=1.0, help="timed seconds of each point, at least")
    options.add_argument("--out", type=Path, default=Path("growth.png"), help="the figure; the numbers go beside it as JSON")
    args = options.parse_args()

    points = []
    for sweep, values in SWEEPS.items():
        for value in values:
            for name, (side, layers, *_) in SIDES.items():
                if sweep == "samples" and layers == "deterministic" and value > 1:
                    continue
                result = measure(side, layers, args.binary, sweep, value, args.seconds)
                points.append({"sweep": sweep, "value": value, "side": name, **{k: result[k] for k in ("ms", "peak_bytes")}})
                print(f"{sweep} {value}: {name} {result['ms']:.2f} ms, {result['peak_bytes'] / 1e6:.0f} MB", file=sys.stderr)
    args.out.with_suffix(".json").write_text(json.dumps(points, indent=1) + "\n")

    figure, axes = plt.subplots(2, len(SWEEPS), figsize=(11, 6.5), sharex="col")
    labels = {"width": "width W of 784-W-W-10", "samples": "samples a step, W = 400", "batch": "batch, W = 400"}
    for column, sweep in enumerate(SWEEPS):
        for name, (_, _, colour, marker) in SIDES.items():
            own = [p for p in points if p["sweep"] == sweep and p["side"] == name]
            x = [p["value"] for p in own]
            axes[0][column].loglog(x, [p["ms"] for p in own], color=colour, marker=marker, label=name)
            axes[1][column].loglog(x, [p["peak_bytes"] / 1e6 for p in own], color=colour, marker=marker)
        axes[1][column].set_xlabel(labels[sweep])
        for row in axes:
            row[column].grid(True, which="both", alpha=0.2)
            row[column].set_xticks(SWEEPS[sweep], [str(v) for v in SWEEPS[sweep]])
            row[column].minorticks_off()
    axes[0][0].set_ylabel("ms a step")
    axes[1][0].set_ylabel("peak memory, MB")
    axes[0][0].legend(frameon=False)
    figure.tight_layout()
    figure.savefig(args.out, dpi=100)


if __name__ == "__main__":
    main()
