"""The bytes of event files against TensorBoard's own writer and against protobuf."""

from __future__ import annotations

import io
import random

import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.tensorflow_stub import pywrap_tensorflow
from tensorboard.summary.writer.record_writer import RecordWriter

from mlpexp.run.events import masked_crc32c, records, scalar_event


@pytest.mark.parametrize("length", [4, 5, 7, 8, 200, 255, 256, 257, 258, 259, 260, 511, 512, 513, 5000])
def test_checksums_are_those_of_tensorboard(length: int) -> None:
    messages = [random.Random(seed).randbytes(length) for seed in range(5)]
    messages += [bytes(length), b"\xff" * length]
    assert masked_crc32c(messages).tolist() == [pywrap_tensorflow.masked_crc32c(message) for message in messages]


def test_records_are_those_of_tensorboard_in_the_order_of_the_events() -> None:
    source = random.Random(0)
    events = [source.randbytes(source.choice([9, 100, 205, 206, 1000])) for _ in range(60)]
    file = io.BytesIO()
    writer = RecordWriter(file)
    for event in events:
        writer.write(event)
    assert records(events) == file.getvalue()
    assert records([]) == b""


ROWS = {
    "one": {"lr": 0.1},
    "several": {"epoch": 7, "lr": 1e-3, "loss/train": 0.25, "grad_norm": 1e30},
    "a long tag and no letters of ASCII": {"x" * 200: 1.0, "Verlust/größer": 2.0, "": 3.0},
    "no numbers": {"a": float("nan"), "b": float("inf"), "c": -float("inf")},
    "past float32": {"a": 1e39, "b": -1e300, "c": 1e-60, "d": -0.0, "e": 3},
    "many": {f"grad_norm/hidden{n}": n / 7 for n in range(2000)},
}


@pytest.mark.parametrize("step", [0, 1, 127, 128, 16383, 16384, 10**9, 10**12])
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_an_event_of_scalars_is_as_protobuf_makes_it(row: dict[str, float], step: int) -> None:
    values = [Summary.Value(tag=tag, simple_value=value) for tag, value in row.items() if tag != "epoch"]
    expected = Event(wall_time=1.7e9 + 1 / 3, step=step, summary=Summary(value=values)).SerializeToString()
    assert scalar_event(row, step, 1.7e9 + 1 / 3) == expected
