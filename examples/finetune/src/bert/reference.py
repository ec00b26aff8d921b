"""Writes reference.json, which tests.rs compares with: embeddings by PyTorch.

    pip install torch transformers
    python reference.py FOLDER > reference.json

FOLDER is MiniLM-L6's, from get_model.sh. The tiny network has weights by a formula, so that the test can write the same checkpoint.
"""

import json
import math
import sys

import torch
from transformers import AutoTokenizer, BertConfig, BertModel

TEXTS = [
    "A compiler for the C programming language.",
    "Plays chess against you, in a terminal; it knows its openings.",
    "fonts",
]


def pooled(model, ids, mask):
    with torch.no_grad():
        states = model(input_ids=ids, attention_mask=mask).last_hidden_state
    weight = mask.unsqueeze(2).to(states.dtype)
    return ((states * weight).sum(1) / weight.sum(1)).tolist()


def tiny():
    config = BertConfig(
        vocab_size=11,
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=12,
        max_position_embeddings=7,
        type_vocab_size=2,
        layer_norm_eps=1e-12,
    )
    model = BertModel(config, add_pooling_layer=False).eval()
    state = {}
    for name, tensor in model.state_dict().items():
        if not tensor.is_floating_point():
            state[name] = tensor
            continue
        phase = 0.1 * sum(name.encode())
        values = [0.4 * math.sin(0.9 * (i + 1) + phase) for i in range(tensor.numel())]
        shift = 1.0 if name.endswith("LayerNorm.weight") else 0.0
        state[name] = torch.tensor([v + shift for v in values]).reshape(tensor.shape)
    model.load_state_dict(state)
    ids = torch.tensor([[1, 4, 9, 10, 2], [1, 3, 2, 0, 0]])
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    return pooled(model, ids, mask)


def minilm(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = BertModel.from_pretrained(folder).eval()
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    mask = batch["attention_mask"]
    ids = [row[: int(m.sum())].tolist() for row, m in zip(batch["input_ids"], mask)]
    rows = pooled(model, batch["input_ids"], mask)
    return [
        {"text": text, "ids": ids, "embedding": [round(v, 6) for v in row]}
        for text, ids, row in zip(TEXTS, ids, rows)
    ]


json.dump({"tiny": tiny(), "minilm": minilm(sys.argv[1])}, sys.stdout)
print()
