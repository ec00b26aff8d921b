"""Writes torch_nn.safetensors: weights of PyTorch's packed modules, inputs, and the outputs for them.

    pip install torch==2.15.0 numpy safetensors
    python3 torch_nn.py
"""

import torch
from safetensors.torch import save_file
from torch import nn

torch.manual_seed(7)
tensors = {}


def keep(name, module, *inputs, output=lambda result: result):
    module.eval()
    for key, value in module.state_dict().items():
        tensors[f"{name}.{key}"] = value
    for index, value in enumerate(inputs):
        tensors[f"{name}.input.{index}"] = value
    with torch.no_grad():
        tensors[f"{name}.output"] = output(module(*inputs))


def first(result):
    return result[0]


# Sizes equal where a transposed or exchanged weight would still fit.
x = torch.randn(2, 5, 3)
keep("lstm", nn.LSTM(3, 3, batch_first=True), x, output=first)
keep("lstm_stack", nn.LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=True), x, output=first)
keep("lstm_bare", nn.LSTM(3, 3, bias=False, bidirectional=True, batch_first=True), x, output=first)
keep("gru", nn.GRU(3, 3, batch_first=True), x, output=first)
keep("gru_both", nn.GRU(3, 3, bidirectional=True, batch_first=True), x, output=first)
keep("rnn", nn.RNN(3, 3, batch_first=True), x, output=first)

# The same stack and GRU over sequences of lengths 3 and 5.
for name, kind in [("lstm_stack", nn.LSTM), ("gru_both", nn.GRU)]:
    options = dict(num_layers=2) if name == "lstm_stack" else {}
    module = kind(3, 4 if name == "lstm_stack" else 3, bidirectional=True, batch_first=True, **options)
    module.load_state_dict({key.removeprefix(f"{name}."): tensors[key] for key in tensors if key.startswith(f"{name}.") and "_l" in key})
    with torch.no_grad():
        packed = nn.utils.rnn.pack_padded_sequence(x, [3, 5], batch_first=True, enforce_sorted=False)
        output, state = module(packed)
        tensors[f"{name}_padded.output"] = nn.utils.rnn.pad_packed_sequence(output, batch_first=True)[0]
        tensors[f"{name}_padded.hidden.output"] = state[0] if name == "lstm_stack" else state
        if name == "lstm_stack":
            tensors[f"{name}_padded.cell.output"] = state[1]

# Their biases are zero at first.
def with_biases(module):
    for name, parameter in module.named_parameters():
        if parameter.dim() == 1:
            nn.init.normal_(parameter)
    return module


s = torch.randn(2, 3, 4)
attention = with_biases(nn.MultiheadAttention(4, 2, batch_first=True))
keep("attention", attention, s, s, s, output=first)
keep("encoder", with_biases(nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, activation="gelu", batch_first=True)), s)

image = torch.randn(2, 4, 3, 3)
keep("instance_norm", with_biases(nn.InstanceNorm2d(4, affine=True)), image)
keep("group_norm", with_biases(nn.GroupNorm(2, 4)), image)
batch_norm = with_biases(nn.BatchNorm2d(4))
batch_norm(image)  # moves the running statistics
keep("batch_norm", batch_norm, image)
keep("layer_norm", with_biases(nn.LayerNorm(4)), s)
keep("prelu", nn.PReLU(4, init=0.1), image)
with torch.no_grad():
    tensors["prelu.weight"] = torch.tensor([0.1, 0.2, 0.3, 0.4])
    tensors["prelu.output"] = nn.functional.prelu(image, tensors["prelu.weight"])

save_file({name: value.detach().contiguous().clone() for name, value in tensors.items()}, "torch_nn.safetensors")
