"""TensorBoard: event files of a run's curves, images, histograms, text and hyperparameters."""

from __future__ import annotations

import os
import re
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from google.protobuf.message import DecodeError
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams.api_pb2 import STATUS_FAILURE, STATUS_SUCCESS
from tensorboard.plugins.hparams.metadata import SESSION_END_INFO_TAG, SESSION_START_INFO_TAG, create_summary_metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from torch import Tensor
from torch.utils.tensorboard.summary import custom_scalars, histogram, text

from mlpexp.data.task import Task
from mlpexp.engine.loop import Row
from mlpexp.run.events import messages, record
from mlpexp.run.files import make_directory, read_bytes, write_bytes, writing
from mlpexp.run.sweep_record import NAME as SWEEP

# As many as the Histograms tab draws.
_BINS = 30
# Bytes of an event file, which are read to correct it.
_MOST = 2**30


class TensorBoard:
    """Writes one event file for each time that a run starts or goes on.

    torch's SummaryWriter writes an event for every scalar, and for hyperparameters a second run that clutters
    the dashboard; its thread loses up to two minutes of a run that is killed, and prints a traceback when the disk is
    full. Here an epoch is one event, events are written in the order in which they came, at `flush` at the latest,
    and the hyperparameters stand in the run itself.
    """

    def __init__(self, directory: Path, epoch: int = 0) -> None:
        """Goes on after `epoch`: readers are to forget what earlier files, if there are any, say of later ones."""
        self.directory = directory
        make_directory(directory)
        with writing(directory):
            earlier = sorted(directory.glob("*tfevents*"))
            self._file = _new_file(directory, earlier)
        self._write(Event(file_version="brain.Event:2"))
        # Step 0 is the state before the first epoch: a run without a checkpoint begins there once more.
        self._earlier = earlier
        self._introduced = bool(earlier) and epoch > 0
        if earlier:
            step = epoch + 1 if epoch else 0
            self._write(Event(step=step, session_log=SessionLog(status=SessionLog.START)))

    def _write(self, event: Event) -> None:
        event.wall_time = time.time()
        with writing(self.directory):
            self._file.write(record(event.SerializeToString()))

    def _add(self, summary: Summary, step: int = 0) -> None:
        self._write(Event(step=step, summary=summary))

    def start(self, hyperparameters: Mapping[str, float | str], task: Task) -> None:
        """Lays out the charts and names the run's hyperparameters.

        No experiment summary is written: TensorBoard would take the columns of its HParams tab from the first one
        that it finds, and hide the other keys of other runs. Without one the columns are the hyperparameters of all
        runs, those that differ first.
        """
        # Under TensorBoard's tab "Custom scalars": train and val of one metric in one chart, and of a sweep, whose
        # runs are in each, val alone.
        in_sweep = (self.directory.parent / SWEEP).exists()
        splits = ("val",) if in_sweep else ("train", "val")
        charts = {name: ["Multiline", [f"{name}/{split}" for split in splits]] for name in ("loss", task.score)}
        # Sessions that share a trial would become one row.
        session = hparams_pb(hyperparameters, trial_id="")
        _correct(self._earlier, session)
        if not self._introduced:
            self._add(custom_scalars({"val of each run" if in_sweep else "train and val": charts}))
            self._add(session)

    def finish(self, completed: bool) -> None:
        """Closes the hyperparameters' session, as a success or a failure, and the file."""
        status = STATUS_SUCCESS if completed else STATUS_FAILURE
        end = HParamsPluginData(session_end_info=SessionEndInfo(status=status, end_time_secs=time.time()))
        self._add(Summary(value=[Summary.Value(tag=SESSION_END_INFO_TAG, metadata=create_summary_metadata(end))]))
        self.close()

    def flush(self) -> None:
        """Hands all events so far to the system, where they outlive the process."""
        with writing(self.directory):
            self._file.flush()

    def close(self) -> None:
        """Writes what is left; the file is closed whether that succeeds or not. A second call has no effect."""
        if self._file.closed:
            return
        with writing(self.directory), self._file:
            self.flush()

    def scalars(self, row: Row, step: int) -> None:
        """An epoch's numbers, all in one event."""
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in row.items() if tag != "epoch"]
        self._add(Summary(value=values), step)

    def histograms(self, parameters: Mapping[str, Tensor], step: int) -> None:
        """The distributions of the weights and biases, by name, all in one event."""
        arrays = {name: parameter.detach().float().cpu().numpy() for name, parameter in parameters.items()}
        found = Summary()
        for name, values in arrays.items():
            if np.isfinite(values).all():
                found.MergeFrom(histogram(f"weights/{name}", values, _edges(values)))
        if found.value:
            self._add(found, step)

    def image(self, tag: str, png: bytes, step: int) -> None:
        """A figure that is already a PNG."""
        # A PNG begins with a signature (8 bytes) and the header's length and name (8); then width and height.
        width, height = struct.unpack(">II", png[16:24])
        image = Summary.Image(encoded_image_string=png, width=width, height=height, colorspace=4)
        self._add(Summary(value=[Summary.Value(tag=tag, image=image)]), step)

    def text(self, tag: str, markdown: str, step: int = 0) -> None:
        self._add(text(tag, markdown), step)


def write_bands(directory: Path, bands: Mapping[str, np.ndarray]) -> None:
    """Writes curves with a band around each, in place of earlier ones, and the charts that show them.

    By tag `bands` hold [3, E]: of each epoch the mean, and the lowest and highest value.
    """
    names = ("mean", "lowest", "highest")
    board = TensorBoard(directory)
    charts = {tag: ["Margin", [f"{name}/{tag}" for name in names]] for tag in bands}
    board._add(custom_scalars({"mean of each setting, between its lowest and highest seed": charts}))
    lines = {f"{name}/{tag}": line for tag, values in bands.items() for name, line in zip(names, values, strict=True)}
    for epoch in range(max(map(len, lines.values()))):
        row = {tag: float(line[epoch]) for tag, line in lines.items()}
        board.scalars({tag: value for tag, value in row.items() if np.isfinite(value)}, epoch + 1)
    board.close()
    with writing(directory):
        for path in board._earlier:
            path.unlink()


def _edges(values: np.ndarray) -> np.ndarray:
    """Edges of bins of equal width, from the least to the greatest value.

    The number of numpy's own bins has no limit: one outlier among narrow weights makes millions. And numpy refuses
    equal values that are large.
    """
    low, high = float(values.min()), float(values.max())
    if low == high:
        half = max(abs(low), 1.0) / 2
        low, high = low - half, high + half
    return np.linspace(low, high, _BINS + 1)


def _correct(files: list[Path], session: Summary) -> None:
    """Puts a run's hyperparameters as they are now where its event files name others.

    TensorBoard takes the first that it reads of a run for good. What is damaged, or no file of a run's, stays as it is.
    """
    now = HParamsPluginData.FromString(session.value[0].metadata.plugin_data.content).session_start_info
    for path in files:
        try:
            content = b"" if path.is_symlink() else read_bytes(path, _MOST)
            start, end, event = next(
                (start, end, Event.FromString(message))
                for start, end, message in messages(content)
                if SESSION_START_INFO_TAG.encode() in message
            )
            metadata = event.summary.value[0].metadata
            before = HParamsPluginData.FromString(metadata.plugin_data.content)
        except StopIteration:
            continue
        except (OSError, IndexError, DecodeError):
            return
        if before.session_start_info.hparams != now.hparams:
            before.session_start_info.hparams.clear()
            for name, value in now.hparams.items():
                before.session_start_info.hparams[name].CopyFrom(value)
            metadata.plugin_data.content = before.SerializeToString()
            write_bytes(path, content[:start] + record(event.SerializeToString()) + content[end:])
        return


def _new_file(directory: Path, earlier: list[Path]) -> BinaryIO:
    """An event file whose name sorts after `earlier` ones: in the order of their names TensorBoard reads them."""
    seconds = int(time.time())
    if earlier and (found := re.search(r"tfevents\.(\d+)", earlier[-1].name)):
        # A run can go on in the second in which it stopped, or on a machine whose clock is behind.
        seconds = max(seconds, int(found[1]) + 1)
    return (directory / f"events.out.tfevents.{seconds:010d}.{socket.gethostname()}.{os.getpid()}.0").open("xb")
