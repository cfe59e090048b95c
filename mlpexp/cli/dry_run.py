"""`mlpexp train --dry-run`: what would be trained, and which runs together, without writing anything."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from mlpexp.cli.console import console, print_text
from mlpexp.comparison.settings import differences
from mlpexp.config.schema import Config
from mlpexp.errors import pluralize
from mlpexp.fields.convert import show
from mlpexp.run.hyperparameters import hyperparameters
from mlpexp.sweep.jobs import Job
from mlpexp.sweep.plan import PlannedStack, plan, why_apart
from mlpexp.training.prepare import Preparations, memory_needed, prepare

# At most this many values of a key, and this many stacks, are shown.
_MOST_VALUES, _MOST_STACKS = 8, 40


def show_run(config: Config) -> None:
    """The plan of a single run."""
    prepared = prepare(config)
    n_bytes = memory_needed(config, prepared.n_linear_parameters, prepared.data.n_features)
    out = console()
    what = f"1 run of {pluralize(config.epochs, 'epoch')} on {prepared.device}"
    print_text(out, f"{what}, about {_size(n_bytes)} of memory")
    print_text(out, "nothing was written: this was a dry run")


def show_plan(jobs: Sequence[Job] | None, preparations: Preparations, *, stacked: bool = True) -> None:
    """The plan of a sweep; without `jobs` its sweeper chooses them. Unless `stacked`, each trains alone."""
    out = console()
    if jobs is None:
        print_text(out, "the sweeper chooses the jobs during the search; the values given to it are valid")
        return
    stacks = plan(jobs, preparations) if stacked else []
    how = f" in {pluralize(len(stacks), 'stack')}" if stacked else ", each trained alone"
    print_text(out, f"{pluralize(len(jobs), 'run')}{how}; all are valid")
    flat = {job.number: hyperparameters(job.config.to_dict()) for job in jobs}
    keys = differences(list(flat.values())).keys
    for key in [*keys, "seed"]:
        values = list(dict.fromkeys(show(config.get(key, "–")) for config in flat.values()))
        if len(values) > 1:
            more = f", … ({len(values)} values)" if len(values) > _MOST_VALUES else ""
            print_text(out, f"  {key}: {', '.join(values[:_MOST_VALUES])}{more}")
    if stacked:
        out.print(_table(stacks, flat, keys, preparations))
    if len(stacks) > _MOST_STACKS:
        print_text(out, f"and {pluralize(len(stacks) - _MOST_STACKS, 'more stack')}")
    print_text(out, "nothing was written: this was a dry run")


def _table(
    stacks: Sequence[PlannedStack],
    flat: dict[int, dict[str, object]],
    keys: Sequence[str],
    preparations: Preparations,
) -> Table:
    """A row for each stack: number of runs, the values that all of them have, memory, and why it is one of its own."""
    table = Table()
    for name in ("stack", "runs"):
        table.add_column(name, justify="right")
    table.add_column("what its runs share")
    table.add_column("memory", justify="right")
    table.add_column("device")
    shown = stacks[:_MOST_STACKS]
    reasons = [why_apart(stacks, index) for index in range(len(shown))]
    if any(reasons):
        table.add_column("why apart")
    for index, (stack, reason) in enumerate(zip(shown, reasons, strict=True), 1):
        configs = [flat[number] for number in stack.numbers]
        own = [key for key in keys if len({show(config.get(key)) for config in configs}) == 1]
        shared = ", ".join(f"{key}={show(configs[0][key])}" for key in own if key in configs[0]) or "–"
        device = str(preparations.of(stack.jobs[0].config).device)
        row = [str(index), str(len(stack.jobs)), shared, _size(stack.n_bytes), device]
        # As texts: rich takes the brackets of a list for markup.
        table.add_row(*map(Text, [*row, *([reason] if any(reasons) else [])]))
    return table


def _size(n_bytes: int) -> str:
    """Bytes in a unit that fits."""
    size = float(n_bytes)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
