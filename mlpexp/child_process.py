"""A Python process beside this one, which pickled objects go to and come from.

Not by `multiprocessing`, which imports the main module again: a script that calls mlpexp needs no
`if __name__ == "__main__"`. Not by loky: its workers outlive a process that is killed, and importing joblib in both
costs 7 % of the CPU time of 40 XOR runs (`mlpexp train -m dataset=xor seed=range(40)`, 12.4 s ÷ 11.5 s).
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from contextlib import suppress
from typing import Any


class ChildProcess:
    """It ends with this process, or when it is closed; `send` and `receive` raise EOFError or OSError where it has."""

    def __init__(self, module: str, **options: Any) -> None:
        """It calls `serve()` of a module; `options` are those of Popen. OSError where no process can be started."""
        # The same modules are found as here, whatever the working directory is by now.
        code = f"import sys; sys.path[:] = sys.argv[1:]; from {module} import serve; serve()"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C at the terminal goes to this process alone, which then ends that one.
            start_new_session=True,
            **options,
        )

    def send(self, pickled: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(pickled)
        self._process.stdin.flush()

    def receive(self) -> Any:
        assert self._process.stdout is not None
        return pickle.load(self._process.stdout)

    def terminate(self) -> None:
        """Sends it SIGTERM."""
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        """Ends the process and closes its pipes. No call of `receive` may be waiting."""
        self.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            # A part of what was sent that the process has not read.
            with suppress(BrokenPipeError):
                pipe.close()
