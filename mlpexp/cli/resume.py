"""`mlpexp resume`: continues a run or a sweep where it stopped, in place."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mlpexp.cli.arguments import changes, run_parser

ALLOWED = ["epochs", "device", "data_dir", "plugins"]
_DATA = "the path of the run's table, if that was moved"


def run(arguments: list[str]) -> int:
    parser = run_parser("resume", __doc__.split(": ", 1)[1], ALLOWED, _DATA, "RUN_OR_SWEEP")
    args = parser.parse_args(arguments)
    directory, changed, file = args.run, changes(args.changes, ALLOWED), args.data

    from mlpexp.run import record
    from mlpexp.run.sweep_record import is_sweep

    if is_sweep(Path(directory)) and not (Path(directory) / record.NAME).exists():
        return _resume_sweep(Path(directory), changed, file)

    from mlpexp.cli.terminal import Terminal
    from mlpexp.training.single import resume

    terminal = Terminal()
    terminal.concluded(resume(directory, changed, terminal, file))
    return 0


def _resume_sweep(directory: Path, changed: dict[str, Any], file: Path | None) -> int:
    """Trains missing and unfinished runs, in stacks; then shows the table of the whole sweep."""
    from mlpexp.cli.console import waiting
    from mlpexp.cli.sweep_terminal import SweepTerminal, conclude
    from mlpexp.errors import ConfigError
    from mlpexp.figures.drawing import Drawing, process_beside
    from mlpexp.sweep.resume import resume_sweep

    if "epochs" in changed:
        raise ConfigError(f"epochs={changed['epochs']}: a sweep keeps its number of epochs; give more to a single run.")
    with ExitStack() as preparing, Drawing(process_beside()) as drawing:
        drawing.start()
        preparing.enter_context(waiting("reading the sweep"))
        resume_sweep(directory, changed, SweepTerminal(directory, preparing), file)
        preparing.close()
        conclude(directory, drawing)
    return 0
