"""What the commands of a case left and said, as lines of four kinds that can be compared; with what is masked.

numbers  weights, metrics.csv, run.json, sweep.csv, exit codes: floats to the bit
texts    standard output and error, and the sentences in the files
files    what there is
state    what else a checkpoint holds, scalars of TensorBoard, pixels of figures, sweep.json: may be laid out anew
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

KINDS = ("numbers", "texts", "files", "state")

# Of run.json, sweep.json and tables: times, places, versions, and checksums of files that hold such.
MASKED_KEYS = {"started", "seconds", "seconds/mean", "pid", "host", "git_commit", "versions", "crc32"}
# Of run.json: sentences.
_TEXT_KEYS = {"command", "python", "reason", "findings"}
# Where a checkpoint has the weights of the network.
_WEIGHTS = ("weights", "module", "model")
_MASKS = [
    (re.compile(r"\d{4}-\d\d-\d\d[ T_/]\d\d[:-]\d\d([:-]\d\d)?([.,]\d+)?(\+00:00)?"), "<time>"),
    (re.compile(r"\d{4}-\d\d-\d\d"), "<date>"),
    (re.compile(r"\b\d+(\.\d+)? (ms|s|min|h)\b"), "<duration>"),
    (re.compile(r"(tfevents)\.\d+\..*"), r"\1.<time>"),
    (re.compile(r"data:image/png;base64,[A-Za-z0-9+/=]+"), "<image>"),
    (re.compile(r"0x[0-9a-f]{6,}"), "<address>"),
    (re.compile(r"[0-9a-f]{40}(-dirty)?"), "<commit>"),
    # The frames of tables are as wide as the times in them.
    (re.compile("([━─])+"), r"\1"),
]


@dataclass(frozen=True)
class Said:
    """A command, the code it exited with, and what it printed."""

    command: str
    code: int
    out: str
    error: str


def outcome(place: Path, said: list[Said], known: dict[str, str], given: set[str]) -> dict[str, str]:
    """By kind, the lines on a case that was run in `place`; `given` are the files that it began with.

    `known` are the paths to mask, with what stands for each.
    """
    lines: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for one in said:
        lines["numbers"].append(f"exit={one.code}  {one.command}")
        lines["texts"] += [f"$ {one.command}", *one.out.splitlines()]
        lines["texts"] += [f"stderr: {line}" for line in one.error.splitlines()]
    paths = sorted(path for path in place.rglob("*") if path.is_file())
    for path in paths:
        name = str(path.relative_to(place))
        if name not in given:
            lines["files"].append(name)
            for kind, line in _of_file(path):
                lines[kind].append(f"{name}: {line}")
    masked = {kind: masked_text("\n".join(those), known) for kind, those in lines.items()}
    masked["files"] = "\n".join(sorted(set(masked["files"].splitlines())))
    return {kind: text + "\n" for kind, text in masked.items()}


def masked_text(text: str, known: dict[str, str]) -> str:
    """Without times, places and commits."""
    for place, name in known.items():
        text = text.replace(place, name)
    for pattern, name in _MASKS:
        text = pattern.sub(name, text)
    return "\n".join(_without_seconds(text.split("\n")))


def _without_seconds(lines: list[str]) -> Iterator[str]:
    """Tables without the numbers of their column `seconds`: printed ones, and those of Markdown and HTML."""
    column = None
    for line in lines:
        cells = re.split("([┃│|]|</t[hd]>)", line)
        names = [re.sub("<[^>]*>", "", cell).strip() for cell in cells]
        if "seconds" in names:
            column = names.index("seconds")
            line = "".join([*cells[:column], "seconds", *cells[column + 1 :]])
        elif column is not None and len(cells) > column:
            line = "".join([*cells[:column], "<duration>", *cells[column + 1 :]])
        elif line.strip("┡╇┩├┼┤━─"):
            column = None
        yield line


def _of_file(path: Path) -> Iterator[tuple[str, str]]:
    """Lines on a file, each with its kind."""
    if ".hydra" in path.parts:
        return
    if path.suffix == ".pt":
        yield from _of_checkpoint(path)
    elif path.suffix == ".json":
        kind = "state" if path.name == "sweep.json" else "numbers"
        for key, value in sorted(flat(json.loads(path.read_text())), key=itemgetter(0)):
            yield "texts" if key.split(".")[0] in _TEXT_KEYS else kind, f"{key}={value!r}"
    elif path.suffix == ".csv":
        yield from (("numbers", line) for line in table_lines(path.read_text()))
    elif path.suffix in (".md", ".html", ".txt", ".yaml"):
        yield from (("texts", line) for line in path.read_text().splitlines())
    elif path.suffix == ".png":
        yield "state", f"pixels={_pixels(path)}"
    elif "tfevents" in path.name:
        yield from (("state", line) for line in _scalars(path))


def table_lines(text: str) -> list[str]:
    """A table of CSV, a cell a line."""
    rows = list(csv.DictReader(io.StringIO(text)))
    return [
        f"row {i} {key}={row[key]}" for i, row in enumerate(rows, 1) for key in sorted(row) if key not in MASKED_KEYS
    ]


def flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """What is in nested mappings and lists, by its path; without what is masked."""
    if isinstance(value, dict | list | tuple) and len(value) > 0:
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for name, entry in entries:
            if name not in MASKED_KEYS:
                yield from flat(entry, f"{key}.{name}" if key else str(name))
    else:
        yield key, value


def _of_checkpoint(path: Path) -> Iterator[tuple[str, str]]:
    import torch

    content = torch.load(path, map_location="cpu", weights_only=True)
    weights = next((name for name in _WEIGHTS if name in content), None) if path.stem in ("best", "last") else None
    for key, value in sorted(flat(content), key=itemgetter(0)):
        top, _, name = key.partition(".")
        shown = _tensor(value) if isinstance(value, torch.Tensor) else repr(value)
        # Whatever the entry is called that holds them.
        yield ("numbers", f"weights {name} {shown}") if top == weights else ("state", f"{key}={shown}")


def _tensor(tensor: Any) -> str:
    """A tensor's type, shape, first values and a hash of its bits."""
    import torch

    bits = tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes()
    first = ", ".join(f"{value:.9g}" for value in tensor.view(-1)[:3].tolist())
    return f"{tensor.dtype} {list(tensor.shape)} [{first}, …] {hashlib.sha256(bits).hexdigest()[:16]}"


def _pixels(path: Path) -> str:
    from matplotlib.image import imread

    image = imread(path)
    return f"{image.shape} {hashlib.sha256(image.tobytes()).hexdigest()[:16]}"


def _scalars(path: Path) -> Iterator[str]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(path), {"scalars": 0}).Reload()
    for tag in sorted(events.Tags()["scalars"]):
        if not any(masked in tag for masked in MASKED_KEYS):
            yield from (f"{tag} step {event.step}: {event.value!r}" for event in events.Scalars(tag))
