"""The numbers of `ivon.rs`: the authors' ivon-opt 0.1.3 (`pip install ivon-opt numpy torch`) on a small loss, in f64, with given noise.

loss(w) = mean of a w² / 2 + sin(w) + 0.3 w, over three weights.
"""

import json

import torch
from ivon import IVON

torch.set_default_dtype(torch.float64)
A = torch.tensor([0.5, 2.0, 4.0])
START = [0.7, -1.1, 0.2]


def noise(step, sample):
    return torch.tensor([(((7 * step + 3 * sample + 5 * i) % 11) - 5) / 4 for i in range(3)])


def trace(samples, **options):
    w = torch.tensor(START, requires_grad=True)
    opt = IVON([w], lr=0.1, ess=50.0, hess_init=0.8, beta2=0.9, weight_decay=0.02, mc_samples=samples, **options)
    for step in range(6):
        for sample in range(samples):
            torch.randn = lambda *a, **k: noise(step, sample)
            with opt.sampled_params(train=True):
                opt.zero_grad()
                (A * w.square() / 2 + w.sin() + 0.3 * w).mean().backward()
        opt.step()
    return w.tolist(), opt.param_groups[0]["hess"].tolist()


for name, arguments in {
    "one sample": (1, {}),
    "three samples": (3, {}),
    "clipped": (3, {"clip_radius": 0.2, "rescale_lr": False}),
}.items():
    samples, options = arguments
    print(name, json.dumps(trace(samples, **options)))
