"""The bytes of an event file: scalar events from a template, and records with checksums made many at a time.

protobuf takes 9 µs to build an epoch's event, and TensorBoard's RecordWriter 25 µs for its checksum, byte by byte in
Python. Here both together take about 3 µs. A file is the same to the bit.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary

# Longer messages are taken in parts of at most so many bytes, which bounds the table.
_PART = 256


def scalar_event(row: Mapping[str, float], step: int, wall_time: float) -> bytes:
    """The serialised event that holds a row's values, all but its epoch, by their tags and as float32."""
    pattern, constants, pick = _template(tuple(row))
    try:
        summary = pattern.pack(*chain.from_iterable(zip(constants, pick(row), strict=True)))
    except OverflowError:
        # protobuf makes infinities of what float32 cannot hold, struct refuses it.
        with np.errstate(over="ignore"):
            return scalar_event({tag: float(np.float32(value)) for tag, value in row.items()}, step, wall_time)
    return _WALL_TIME.pack(b"\t", wall_time) + _step(step) + summary


# The event's first field: its key, then the seconds.
_WALL_TIME = struct.Struct("<sd")


@lru_cache(maxsize=64)
def _step(step: int) -> bytes:
    return Event(step=step).SerializeToString()


@lru_cache(maxsize=64)
def _template(columns: tuple[str, ...]) -> tuple[struct.Struct, list[bytes], Callable[[Mapping[str, float]], Any]]:
    """How the summary of such a row is packed, the bytes before each of its values, and what picks these."""
    tags = [tag for tag in columns if tag != "epoch"]
    # A value is the last thing in its message, in four bytes.
    values = [Summary.Value(tag=tag, simple_value=0.0) for tag in tags]
    constants = [Summary(value=[value]).SerializeToString()[:-4] for value in values]
    whole = Event(summary=Summary(value=values)).SerializeToString()
    constants[0] = whole[: len(whole) - sum(len(constant) + 4 for constant in constants[1:]) - 4]
    # A single key would be picked bare.
    pick = itemgetter(*tags) if len(tags) > 1 else lambda row: (row[tags[0]],)
    return struct.Struct("<" + "".join(f"{len(constant)}sf" for constant in constants)), constants, pick


def records(events: Sequence[bytes]) -> bytes:
    """Serialised events as they stand in a TFRecord file: length, its checksum, the event, its checksum."""
    by_length: dict[int, list[int]] = {}
    for index, event in enumerate(events):
        by_length.setdefault(len(event), []).append(index)
    parts: list[bytes] = [b""] * (3 * len(events))
    parts[1::3] = events
    for length, indices in by_length.items():
        checksums = masked_crc32c([events[index] for index in indices]).tobytes()
        for nth, index in enumerate(indices):
            parts[3 * index] = _head(length)
            parts[3 * index + 2] = checksums[4 * nth : 4 * nth + 4]
    return b"".join(parts)


def messages(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    """The serialised events of a TFRecord file, each with where its record begins and ends, up to one that is cut off.

    Checksums are not looked at.
    """
    start = 0
    while start + 16 <= len(content):
        (length,) = struct.unpack_from("<Q", content, start)
        end = start + 16 + length
        if end > len(content):
            return
        yield start, end, content[start + 12 : end - 4]
        start = end


@lru_cache(maxsize=1024)
def _head(length: int) -> bytes:
    head = struct.pack("<Q", length)
    return head + masked_crc32c([head]).tobytes()


def masked_crc32c(messages: Sequence[bytes]) -> np.ndarray:
    """CRC-32C of messages of one length, at least 4 bytes each, masked as in TFRecord files.

    A checksum is linear in the bits of its message: it is the exclusive or of what each byte adds, which a table
    tells by the byte's value and the number of bytes after it (Sarwate 1988, and its slicing by Kounavis 2008).
    """
    length = len(messages[0])
    assert length >= 4
    table = _table()
    crc = np.full(len(messages), 0xFFFFFFFF, "<u4")
    matrix = np.frombuffer(b"".join(messages), np.uint8).reshape(-1, length)
    for part in np.array_split(matrix, -(-length // _PART), axis=1):
        after = np.arange(part.shape[1] - 1, -1, -1)
        entries = 256 * after + part
        # The checksum so far acts as if it were added to the next four bytes.
        entries[:, :4] ^= crc.view(np.uint8).reshape(-1, 4)
        crc = np.bitwise_xor.reduce(table.take(entries), axis=1)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15) | (crc << 17)) + np.array(0xA282EAD8, "<u4")


@cache
def _table() -> np.ndarray:
    """What a byte adds, at 256 · (bytes after it) + its value."""
    table = np.empty((_PART, 256), "<u4")
    entries = np.arange(256, dtype="<u4")
    for _ in range(8):
        entries = np.where(entries & 1, (entries >> 1) ^ 0x82F63B78, entries >> 1).astype("<u4")
    table[0] = entries
    for after in range(1, _PART):
        table[after] = table[0][table[after - 1] & 0xFF] ^ (table[after - 1] >> 8)
    return table.ravel()
