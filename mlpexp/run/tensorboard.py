"""TensorBoard: event files of a run's curves, images, histograms, text and hyperparameters."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams.api_pb2 import STATUS_FAILURE, STATUS_SUCCESS
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from torch import nn
from torch.utils.tensorboard import FileWriter
from torch.utils.tensorboard.summary import custom_scalars, histogram, hparams, text

from mlpexp.engine.loop import Row
from mlpexp.errors import RunError


class TensorBoard:
    """Writes one run's event file.

    torch's SummaryWriter writes an event for every scalar, and for hyperparameters a second run that clutters
    the dashboard. Here an epoch is one event, and the hyperparameters stand in the run itself.
    """

    def __init__(self, directory: Path, score: str, purge_from: int | None = None) -> None:
        try:
            self._writer = FileWriter(str(directory), max_queue=100, flush_secs=5)
            if purge_from is not None:
                self._purge(purge_from)
            # Train and val of one metric in one chart, under TensorBoard's tab "Custom scalars".
            charts = {name: ["Multiline", [f"{name}/train", f"{name}/val"]] for name in ("loss", score)}
            self._writer.add_summary(custom_scalars({"train and val": charts}))
        except OSError as error:
            raise RunError(f"{directory}: cannot be written: {error.strerror}") from error

    def _purge(self, step: int) -> None:
        """Tells readers to forget what an earlier, interrupted file of this run says of `step` and later."""
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        self._writer.add_event(Event(step=step, file_version="brain.Event:2"))
        self._writer.add_event(Event(step=step, session_log=SessionLog(status=SessionLog.START)))

    def start(self, hyperparameters: Mapping[str, Any], metrics: list[str]) -> None:
        """Names the run's hyperparameters and the scalars that the HParams tab shows beside them."""
        # add_hparams would read booleans as numbers, and refuse lists and nulls.
        plain = {
            name: value if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
            for name, value in hyperparameters.items()
        }
        experiment, session, self._end = hparams(plain, dict.fromkeys(metrics))
        self._writer.add_summary(experiment)
        self._writer.add_summary(session)

    def finish(self, completed: bool) -> None:
        """Closes the hyperparameters' session, as a success or a failure, and the file."""
        metadata = self._end.value[0].metadata
        content = HParamsPluginData.FromString(metadata.plugin_data.content)
        content.session_end_info.status = STATUS_SUCCESS if completed else STATUS_FAILURE
        metadata.plugin_data.content = content.SerializeToString()
        self._writer.add_summary(self._end)
        self.close()

    def close(self) -> None:
        self._writer.close()

    def scalars(self, row: Row, step: int) -> None:
        """An epoch's numbers, all in one event."""
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in row.items() if tag != "epoch"]
        self._writer.add_summary(Summary(value=values), step)

    def histograms(self, module: nn.Module, step: int) -> None:
        """The distributions of the weights and biases."""
        for name, parameter in module.named_parameters():
            values = parameter.detach().float().cpu().numpy()
            if np.isfinite(values).all():
                self._writer.add_summary(histogram(f"weights/{name}", values, "auto"), step)

    def image(self, tag: str, png: bytes, step: int) -> None:
        """A figure that is already a PNG."""
        # A PNG begins with a signature (8 bytes) and the header's length and name (8); then width and height.
        width, height = struct.unpack(">II", png[16:24])
        image = Summary.Image(encoded_image_string=png, width=width, height=height, colorspace=4)
        self._writer.add_summary(Summary(value=[Summary.Value(tag=tag, image=image)]), step)

    def text(self, tag: str, markdown: str) -> None:
        self._writer.add_summary(text(tag, markdown), 0)
