"""Turns the measurements of `run.sh` into a table of times, a table of what was learnt, and a JSON file."""

import argparse
import json
import math
import os
import platform
import statistics
from pathlib import Path

# What the second table shows of a result, where it has it.
QUALITY = ["rmse", "nll", "coverage_75", "coverage_95", "width_95"]

# Losses may differ by so many standard errors of their difference; probabilities of a prediction by so much.
STANDARD_ERRORS = 4
PROBABILITY = 0.01
# A recurrent layer that draws its weights anew at every time step has another expected loss than one that keeps them: by 0.0005 of it, where each weight
# has 0.02 of noise. Beside such a side this share may come on top.
DRAWS_ANEW = 0.002


def milliseconds(result):
    """The time of one unit of work; the examples report seconds an epoch, the other scripts milliseconds."""
    return result["ms"] if "ms" in result else 1000 * result["seconds_per_epoch"]


def summarize(measurements, sides):
    """One object a workload: for each side the median time, or null, and the medians of its figures."""
    rows = []
    for workload in dict.fromkeys(m["workload"] for m in measurements):
        runs = [m for m in measurements if m["workload"] == workload]
        row = {"workload": workload, "per": runs[0]["per"]}
        row |= {f"{side}_ms": None for side in sides} | {f"{side}_process_s": None for side in sides}
        row |= {"ratios_to_ours": {}, "times_ms": {}, "figures": {}, "versions": {}}
        for side in sides:
            results = [m["result"] for m in runs if m["side"] == side]
            if not results:
                continue
            times = [milliseconds(result) for result in results]
            row[f"{side}_ms"] = statistics.median(times)
            row[f"{side}_process_s"] = statistics.median(m["process_us"] / 1e6 for m in runs if m["side"] == side)
            row["times_ms"][side] = times
            row["figures"][side] = {
                key: statistics.median(result[key] for result in results)
                for key, value in results[0].items()
                if isinstance(value, (int, float)) and key not in ("seed", "threads")
            }
            row["versions"] |= results[0].get("versions", {})
            if row.get("ours_ms"):
                row["ratios_to_ours"][side] = row[f"{side}_ms"] / row["ours_ms"]
        rows.append(row)
    return rows


def differences(row, sides):
    """What the Bayesian sides of a workload do not agree on: the mean loss at the initial weights, a mean probability."""
    figures = row["figures"]
    ours = figures.get("ours", {})
    for side in sides:
        theirs = figures.get(side, {})
        if "nll_se" in ours and "nll_se" in theirs:
            error = math.hypot(ours["nll_se"], theirs["nll_se"])
            bias = DRAWS_ANEW * abs(ours["nll"]) if theirs.get("draws_anew") else 0.0
            if abs(ours["nll"] - theirs["nll"]) > STANDARD_ERRORS * error + bias:
                yield f"{row['workload']}: the loss is {ours['nll']:.5f} here, {theirs['nll']:.5f} in {side}, ± {error:.5f}"
            # Another number of weights has another KL.
            error = theirs["kl_se"] * STANDARD_ERRORS + 1e-5 * ours["kl"]
            if ours["weights"] == theirs["weights"] and abs(ours["kl"] - theirs["kl"]) > error:
                yield f"{row['workload']}: the KL is {ours['kl']:.1f} here, {theirs['kl']:.1f} in {side}"
        if "probability" in ours and "probability" in theirs:
            if abs(ours["probability"] - theirs["probability"]) > PROBABILITY:
                yield f"{row['workload']}: the probability is {ours['probability']:.4f} here, {theirs['probability']:.4f} in {side}"


def table(header, lines):
    """A Markdown table with its columns aligned."""
    lines = [header, *([str(cell) for cell in line] for line in lines)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    lines.insert(1, ["-" * width for width in widths])
    for line in lines:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |")
    print()


def processor():
    """The processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    return next((line.split(": ", 1)[1] for line in lines if line.startswith("model name")), platform.machine())


def time_cell(row, side):
    if row[f"{side}_ms"] is None:
        return "-"
    ratio = row["ratios_to_ours"].get(side)
    return f"{row[f'{side}_ms']:.2f} ms" + (f" ({ratio:.1f}x)" if ratio and side != "ours" else "")


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("measurements", type=Path, help="the file run.sh wrote, one JSON object a line")
    options.add_argument("--sides", nargs="+", required=True, help="the sides, in the order of the columns")
    options.add_argument("--json", type=Path, help="where to write the list of results")
    args = options.parse_args()

    measurements = [json.loads(line) for line in args.measurements.read_text().splitlines()]
    rows = summarize(measurements, args.sides)

    print(f"{processor()}, {os.cpu_count()} cores; 1-minute load at the end {os.getloadavg()[0]:.1f}\n")
    print("Median time (ratio to ours):\n")
    table(
        ["workload", "per", *args.sides],
        [[row["workload"], row["per"], *(time_cell(row, side) for side in args.sides)] for row in rows],
    )
    print("What was learnt, and the seconds of the whole process (medians):\n")
    table(
        ["workload", "side", *QUALITY, "process"],
        [
            [row["workload"], side]
            + [f"{figures[key]:.3g}" if key in figures else "-" for key in QUALITY]
            + [f"{row[f'{side}_process_s']:.1f} s"]
            for row in rows
            for side, figures in row["figures"].items()
        ],
    )
    ratios = [
        min(row["ratios_to_ours"][peer] for peer in ("blitz", "bayesian_torch") if peer in row["ratios_to_ours"])
        for row in rows
        if row["per"] in ("step", "prediction") and row["ratios_to_ours"].keys() & {"blitz", "bayesian_torch"}
    ]
    if ratios:
        print(f"Against the faster peer, geometric mean over {len(ratios)} workloads: {statistics.geometric_mean(ratios):.1f}x\n")
    for row in rows:
        if row["per"] == "step" and row.get("deterministic_ms") and row.get("ours_ms"):
            print(f"{row['workload']}: {row['ours_ms'] / row['deterministic_ms']:.2f} of Burn's deterministic step")
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2) + "\n")
    if wrong := [line for row in rows for line in differences(row, ("blitz", "bayesian_torch"))]:
        raise SystemExit("\n".join(["The sides do not compute the same:", *wrong]))


if __name__ == "__main__":
    main()
