"""Records of event files as TensorBoard itself writes them, and what TensorBoard reads in a folder.

    pip install tensorboard
    python3 tensorboard_reference.py            # the constants of src/metric/tensorboard.rs
    python3 tensorboard_reference.py FOLDER     # what TensorBoard finds there: run, tag, steps and values

For the second, `BLITZ_TENSORBOARD=FOLDER cargo test --workspace --test suite tensorboard` writes a training that was interrupted and goes on.
"""

import io
import sys

from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter


def show(name, event):
    file = io.BytesIO()
    RecordWriter(file).write(event.SerializeToString(deterministic=True))
    print(f'const {name}: &str = "{file.getvalue().hex()}";')


def scalar(tag, value):
    return Summary(value=[Summary.Value(tag=tag, simple_value=value)])


if len(sys.argv) == 1:
    show("VERSION", Event(wall_time=1.5, file_version="brain.Event:2"))
    show("BEGIN", Event(wall_time=1.5, step=300, session_log=SessionLog(status=SessionLog.START)))
    show("SCALAR", Event(wall_time=1700000000.25, step=300, summary=scalar("Loss", 0.125)))
    show("NAN", Event(wall_time=1.5, step=1, summary=scalar("σ" * 100, float("nan"))))
else:
    runs = EventMultiplexer()
    runs.AddRunsFromDirectory(sys.argv[1])
    runs.Reload()
    for run, tags in sorted(runs.Runs().items()):
        for tag in tags["scalars"] or tags["tensors"]:
            points = runs.Scalars(run, tag)
            print(run, tag, [(point.step, point.value) for point in points])
