"""A process that draws pictures, and imports no more than it needs to do so."""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys

from mlpexp.child_process import ChildProcess

# numpy would start threads that are not needed.
_ONE_THREAD = dict.fromkeys(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"], "1")


class DrawingProcess(ChildProcess):
    """Draws one picture at a time."""

    def __init__(self) -> None:
        super().__init__(
            __name__,
            # An error in it occurs again here, where it is reported.
            stderr=subprocess.DEVNULL,
            # It draws with Agg, and would fail where another one is named that is not installed.
            env={**os.environ, **_ONE_THREAD, "MPLBACKEND": "agg"},
        )

    def drawn(self, pickled: bytes) -> bytes:
        """The file of a pickled picture and format; EOFError or OSError where the process has ended over it."""
        self.send(pickled)
        drawn: bytes = self.receive()
        return drawn


def serve() -> None:
    """The main loop of the process: draws the pictures from its input until that is closed. An error ends it."""
    import matplotlib.backends.backend_agg
    import matplotlib.figure  # noqa: F401

    # As in cli/main.py.
    gc.set_threshold(50_000, 5, 5)
    pictures, drawn = sys.stdin.buffer, sys.stdout.buffer
    while True:
        try:
            picture, format = pickle.load(pictures)
        except EOFError:
            return
        pickle.dump(picture.drawn(format), drawn)
        drawn.flush()
