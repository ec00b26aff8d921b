"""What every peer's script shares: its options for threads and seed, and the one line of JSON it ends with."""

import argparse
import importlib.metadata
import json

import numpy as np
import torch


def parser(description: str) -> argparse.ArgumentParser:
    """An argument parser with the options that `run.sh` passes to every script."""
    options = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    options.add_argument("--threads", type=int, default=2, help="threads that PyTorch may use")
    options.add_argument("--seed", type=int, default=1, help="seed of weights, shuffling and noise")
    return options


def prepare(threads: int, seed: int) -> None:
    """Fixes the number of threads and the seeds, before the first tensor is made."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    np.random.seed(seed)


def report(peer: str, **figures) -> None:
    """Prints the result as JSON, on the last line, where `run.sh` looks for it."""
    versions = {name: importlib.metadata.version(name) for name in (peer, "torch")}
    print(json.dumps({**figures, "threads": torch.get_num_threads(), "versions": versions}))
