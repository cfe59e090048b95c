"""`mlpexp resume`: goes on with a run where it stopped, in place."""

from __future__ import annotations

from mlpexp.cli.arguments import run_and_changes

_ALLOWED = ["epochs", "device", "data_dir", "plugins"]


def run(arguments: list[str]) -> int:
    directory, changed = run_and_changes("resume", __doc__.split(": ", 1)[1], _ALLOWED, arguments)

    from mlpexp.cli.terminal import Terminal
    from mlpexp.training import resume

    terminal = Terminal()
    terminal.concluded(resume(directory, changed, terminal))
    return 0
