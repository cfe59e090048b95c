"""A process that draws pictures, and imports no more than it needs to do so.

Not of `multiprocessing`, which imports the main module once more: a script that calls mlpexp need not guard its own.
Nor of loky, which lacks that flaw: its workers outlive a process that is killed, and importing joblib there and here
costs 7 % of the CPU time of 40 XOR runs (`mlpexp train -m dataset=xor seed=range(40)`, 12.4 s ÷ 11.5 s).
"""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
from contextlib import suppress
from typing import Any

from mlpexp.figures.picture import Picture

# The same modules are found as here, whatever the working directory is by now.
_CODE = "import sys; sys.path[:] = sys.argv[1:]; from mlpexp.figures.drawing_process import serve; serve()"
# numpy would keep threads ready that nobody needs.
_ONE_THREAD = dict.fromkeys(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"], "1")


class DrawingProcess:
    """Draws one picture at a time. It ends with this process, or when it is closed."""

    def __init__(self) -> None:
        """OSError where no process can be started."""
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CODE, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # What goes wrong in it goes wrong here once more, where it can be told.
            stderr=subprocess.DEVNULL,
            # Agg is the one that it draws with: it fails where another is named that is not installed.
            env={**os.environ, **_ONE_THREAD, "MPLBACKEND": "agg"},
            # Ctrl-C at the terminal is for us, who end it then.
            start_new_session=True,
        )

    def png(self, pickled: bytes) -> bytes:
        """The PNG file of a pickled picture; EOFError or OSError where the process cannot draw it, and is no more."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(pickled)
        self._process.stdin.flush()
        drawn: bytes = pickle.load(self._process.stdout)
        return drawn

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        """Ends the process, and all that is kept for it here. Nobody must be waiting for a picture."""
        self.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            # What is left of a picture that the process did not take in.
            with suppress(BrokenPipeError):
                pipe.close()


def serve() -> None:
    """What the process does: draws what comes in until nothing does. An error ends it."""
    import matplotlib.backends.backend_agg
    import matplotlib.figure  # noqa: F401

    # As in cli/main.py.
    gc.set_threshold(50_000, 5, 5)
    pictures, drawn = sys.stdin.buffer, sys.stdout.buffer
    while True:
        try:
            picture: Picture[Any] = pickle.load(pictures)
        except EOFError:
            return
        pickle.dump(picture.png(), drawn)
        drawn.flush()
