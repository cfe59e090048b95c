"""The bytes of event files against TensorBoard's own writer."""

from __future__ import annotations

import io
import random

import pytest
from tensorboard.summary.writer.record_writer import RecordWriter

from mlpexp.run.events import messages, record

# On both sides of one part of a message (252 bytes beside the four before it) and of several.
LENGTHS = [0, 1, 3, 4, 5, 8, 200, 251, 252, 253, 256, 507, 508, 509, 5000]


@pytest.mark.parametrize("length", LENGTHS)
def test_a_record_is_that_of_tensorboard(length: int) -> None:
    contents = [random.Random(seed).randbytes(length) for seed in range(5)]
    for content in [*contents, bytes(length), b"\xff" * length]:
        file = io.BytesIO()
        RecordWriter(file).write(content)
        assert record(content) == file.getvalue()


def test_messages_are_found_up_to_one_that_is_cut_off() -> None:
    contents = [random.Random(length).randbytes(length) for length in LENGTHS]
    file = b"".join(map(record, contents))
    assert [message for _, _, message in messages(file)] == contents
    assert [file[start:end] for start, end, _ in messages(file)] == [record(content) for content in contents]
    for missing in (1, 4, 5000, 5015, 5016):
        assert [message for _, _, message in messages(file[:-missing])] == contents[:-1]
