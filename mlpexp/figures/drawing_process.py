"""A process that draws pictures, and imports no more than it needs to do so.

Not by `multiprocessing`, which imports the main module again: a script that calls mlpexp needs no
`if __name__ == "__main__"`. Not by loky: its workers outlive a process that is killed, and importing joblib in both
costs 7 % of the CPU time of 40 XOR runs (`mlpexp train -m dataset=xor seed=range(40)`, 12.4 s ÷ 11.5 s).
"""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
from contextlib import suppress

# The same modules are found as here, whatever the working directory is by now.
_CODE = "import sys; sys.path[:] = sys.argv[1:]; from mlpexp.figures.drawing_process import serve; serve()"
# numpy would start threads that are not needed.
_ONE_THREAD = dict.fromkeys(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"], "1")


class DrawingProcess:
    """Draws one picture at a time. It ends with this process, or when it is closed."""

    def __init__(self) -> None:
        """OSError where no process can be started."""
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CODE, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # An error in it occurs again here, where it is reported.
            stderr=subprocess.DEVNULL,
            # It draws with Agg, and would fail where another one is named that is not installed.
            env={**os.environ, **_ONE_THREAD, "MPLBACKEND": "agg"},
            # Ctrl-C at the terminal goes to this process alone, which then ends that one.
            start_new_session=True,
        )

    def drawn(self, pickled: bytes) -> bytes:
        """The file of a pickled picture and format; EOFError or OSError where the process has ended over it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(pickled)
        self._process.stdin.flush()
        drawn: bytes = pickle.load(self._process.stdout)
        return drawn

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        """Ends the process and closes its pipes. No call of `drawn` may be waiting."""
        self.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            # A part of a picture that the process has not read.
            with suppress(BrokenPipeError):
                pipe.close()


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
