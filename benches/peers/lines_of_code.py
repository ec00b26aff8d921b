"""Lines of code of the layers here and in bayesian-torch: without blank lines, comments, docstrings and tests.

    pip download --no-deps bayesian-torch && unzip -q bayesian_torch-*.whl
    python3 benches/peers/lines_of_code.py PATH_TO/bayesian_torch
"""

import ast
import io
import pathlib
import sys
import tokenize

HERE = pathlib.Path(__file__).resolve().parents[2] / "crates/blitz-layers/src"


def rust(files):
    text = [line.strip() for file in files for line in (HERE / file).read_text().splitlines()]
    return sum(bool(line) and not line.startswith(("//", "#[doc")) for line in text)


def python(text):
    """Lines that hold a token other than a comment or a docstring."""
    strings = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            strings.update(range(node.lineno, node.end_lineno + 1))
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in skipped:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - strings)


theirs = pathlib.Path(sys.argv[1]) / "layers"
both = lambda *files: sum(python((theirs / file).read_text()) for file in files)
conv = ["conv/check.rs", "conv/convolution.rs", "conv/layer.rs", "conv/mod.rs", "conv/padding.rs", "conv/transposed.rs", "windows/padding.rs"]
rnn = [f"rnn/{file}.rs" for file in ("gates", "gru", "lstm", "mod", "module", "padding")]
rows = [
    ("estimators, shared by all but the recurrent", rust(["axes.rs", "estimator.rs"]), None),
    ("linear", rust(["linear.rs"]), both("variational_layers/linear_variational.py", "flipout_layers/linear_flipout.py")),
    (
        "six convolutions",
        rust(conv),
        both("variational_layers/conv_variational.py", "flipout_layers/conv_flipout.py"),
    ),
    ("LSTM (ours: and GRU, stacked, two directions)", rust(rnn), both("variational_layers/rnn_variational.py", "flipout_layers/rnn_flipout.py")),
    ("embedding", rust(["embedding.rs"]), None),
]
print(f"{'':<46} {'blitz':>6} {'bayesian-torch':>15}")
for name, ours, other in rows:
    print(f"{name:<46} {ours:>6} {other if other is not None else '-':>15}")
