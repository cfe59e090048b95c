"""What a run shows on the terminal: what will be trained, how it goes, and how it ended."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

from mlpexp.cli.console import console, labelled, print_text
from mlpexp.cli.main import report
from mlpexp.components.loss import Loss, losses
from mlpexp.components.regularizer import regularizers
from mlpexp.config.metric import KINDS, Metric, picking, shown_score
from mlpexp.config.schema import Config
from mlpexp.data.task import Task
from mlpexp.doctor.finding import format_finding
from mlpexp.doctor.measure import rare_classes
from mlpexp.engine.batches import Batches
from mlpexp.engine.loop import Engine, Row
from mlpexp.engine.objective import train_shares
from mlpexp.errors import pluralize
from mlpexp.fields.convert import as_plain, show
from mlpexp.figures.confusion import most_confused
from mlpexp.run.results import Results
from mlpexp.training.attempt import Run
from mlpexp.training.importance import MOST_SHOWN, Importance
from mlpexp.training.prepare import Prepared
from mlpexp.training.watcher import Epochs, Watcher

# Without a terminal a line is printed for each of this many parts of a run.
_LINES = 20
# More frequent updates of a terminal cannot be seen.
SECONDS_BETWEEN_UPDATES = 0.1


def epoch_bars(console: Console, width: int) -> Progress:
    """Progress bars over the epochs of stacks, one below the other; started, and without a bar so far.

    Of `width` columns they keep what a narrow terminal has room for.
    """
    progress = Progress(
        TextColumn("{task.description}"),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        BarColumn(bar_width=width),
        TextColumn("{task.fields[numbers]}"),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True, table_column=Column(no_wrap=True)),
        console=console,
    )
    progress.start()
    return progress


def add_bar(bars: Progress, epochs: Epochs, label: str) -> TaskID:
    """Adds the bar of a stack; its field `numbers` is shown after it."""
    return bars.add_task(label, total=epochs.total_epochs, completed=epochs.epoch, numbers="")


def room(console: Console, epochs: Epochs, label: str) -> int:
    """The columns that the numbers after a progress bar have, where the bar has one."""
    return console.width - len(f"{label} {epochs.total_epochs}/{epochs.total_epochs} ━  00:00")


class Terminal(Watcher):
    """Shows one run: a progress bar on a terminal, plain lines elsewhere."""

    def __init__(self) -> None:
        self._console = console()
        self._progress: Progress | None = None
        self._bar: TaskID | None = None
        self._shown = 0.0
        self._last: Row = {}
        self._score = "accuracy"
        self._room: int | None = None

    def note(self, line: str) -> None:
        report(line)

    def set_up(self, prepared: Prepared, engine: Engine, directories: Sequence[Path]) -> None:
        self._console.print(labelled(self._console, _setup(prepared, engine).items()))
        print_text(self._console, f"run directory: {directories[0]}")

    def started(self, prepared: Prepared, epochs: Epochs) -> None:
        self._score = shown_score(prepared.config.metric, prepared.data.task)
        if self._console.is_terminal:
            self._room = room(self._console, epochs, "epoch")
            self._progress = epoch_bars(self._console, width=30)
            self._bar = add_bar(self._progress, epochs, "epoch")

    def epoch(self, epochs: Epochs, rows: Sequence[Row]) -> None:
        (row,) = rows
        total_epochs = epochs.total_epochs
        self._last = row
        epoch = int(row["epoch"])
        if self._progress is None:
            if epoch in (1, total_epochs) or epoch % max(1, round(total_epochs / _LINES)) == 0:
                print_text(self._console, f"epoch {epoch}/{total_epochs}  {_numbers(row, self._score)}")
            return
        if time.monotonic() - self._shown >= SECONDS_BETWEEN_UPDATES or epoch == total_epochs:
            self._shown = time.monotonic()
            assert self._bar is not None
            self._progress.update(self._bar, completed=epoch, numbers=_numbers(row, self._score, self._room))

    def ended(self) -> None:
        if self._progress is not None:
            if self._last:
                assert self._bar is not None
                numbers = _numbers(self._last, self._score, self._room)
                self._progress.update(self._bar, completed=int(self._last["epoch"]), numbers=numbers)
            self._progress.stop()

    def concluded(self, run: Run) -> None:
        """The end of a run that has completed: metrics, most-confused classes, the directory."""
        record, task = run.record, run.results.data.task
        early = ", where it stopped early" if record.epochs_done < record.config["epochs"] else ""
        best_by = picking(record.config["metric"], task)
        title = weights_title(best_by, f"{record.best_epoch} of {record.epochs_done}{early}")
        self._console.print(metrics_table(run.metrics, record.constant, task, title))
        for line in undefined_metrics(record.undefined):
            print_text(self._console, line)
        if task.kind == "classification":
            print_text(self._console, confusions(run.results))
        show_findings(record.findings, self._console)
        print_text(self._console, f"took {record.seconds:.1f} s; run directory: {run.directory}")


def _numbers(row: Row, score: str, room: int | None = None) -> str:
    """The numbers of an epoch in a line of constant width: the last of them, where the `room` is for fewer."""
    numbers = [
        f"train loss {row['loss/train']:.4f}",
        f"val loss {row['loss/val']:.4f}",
        f"val {score_name(score)} {score_text(row[f'{score}/val'])}",
    ]
    while room is not None and len(numbers) > 1 and len("  ".join(numbers)) > room:
        del numbers[0]
    return "  ".join(numbers)


def score_name(score: str) -> str:
    return KINDS[score].words


def score_text(score: float) -> str:
    """A score in four digits; a dash where it is undefined, such as R² of targets that do not vary."""
    return "–" if math.isnan(score) else f"{score:.4f}".replace("-", "−")


# Issues of a table that the note on its columns and rows names too.
_IN_NOTES = {"empty", "constant", "id_like", "missing_targets", "rows_with_missing"}


def _setup(prepared: Prepared, engine: Engine) -> dict[str, str]:
    config, data = prepared.config, prepared.data
    sizes = " / ".join(f"{len(split):,}" for split in data.splits().values())
    widths = [data.n_features, *getattr(config.model, "hidden", []), prepared.loss.n_outputs(data.task)]
    return {
        "data": f"{data.name}: {sizes} rows (train / val / test), {_task(prepared)}",
        "note": data.note,
        "issues": "\n".join(format_finding(as_plain(each)) for each in data.issues if each.symptom not in _IN_NOTES),
        "model": f"{named(config, 'model')}: {'-'.join(map(str, widths))}, {engine.n_parameters:,} parameters",
        # Without a hidden layer there is nothing to activate, to normalise or to drop.
        "activation": named(config, "activation") if config.model.activates else "none (no hidden layer)",
        "init": named(config, "init"),
        "loss": named(config, "loss", prepared.loss),
        "optimizer": named(config, "optimizer"),
        "scheduler": named(config, "scheduler"),
        "regularizer": ", ".join(map(regularizers.name_of, config.regularizer)) or "none",
        "training": f"{pluralize(config.epochs, 'epoch')}, {_batches(engine.batches)}, seed {config.seed}",
        "device": f"{engine.device}, {config.precision}",
        # The weights still change, so these numbers differ from those of the final table.
        "epoch lines": "train: mean over the epoch's batches, each before its step; val: the weights after the epoch",
    }


def _batches(batches: Batches) -> str:
    """How many rows a batch has, and how many an epoch leaves out."""
    if not batches.n_left_out:
        return f"batches of {batches.sizes[0]}"
    left_out = f"{pluralize(batches.n_left_out, 'row')} left out of each epoch"
    return f"batches of {batches.sizes[0]} ({left_out}: batch normalisation needs {batches.least} in a batch)"


def _task(prepared: Prepared) -> str:
    task, n_columns = prepared.data.task, len(prepared.data.preprocessing.names)
    features = pluralize(prepared.data.n_features, "feature")
    if n_columns and n_columns != prepared.data.n_features:
        features += f" of {pluralize(n_columns, 'column')}"
    return f"{features}, {task.n_classes} classes{_unequal(prepared)}" if task.n_classes else f"{features}, regression"


def _unequal(prepared: Prepared) -> str:
    """The rarest class, where classes have far from as many rows."""
    task, shares = prepared.data.task, train_shares(prepared.data)
    rare = min(rare_classes(shares), key=shares.__getitem__, default=None)
    if rare is None:
        return ""
    return f" of unequal size (the smallest, {task.classes[rare]}: {100 * shares[rare]:.2g} % of the training rows)"


def named(config: Config, group: str, resolved: Loss | None = None) -> str:
    """A component with its most important setting: `adam (lr 0.001)`."""
    values = config.to_dict()[group]
    name = values["name"]
    if resolved is not None and name == "auto":
        return f"auto: {losses.name_of(resolved)}"
    return f"{name} (lr {show(values['lr'])})" if "lr" in values else str(name)


def weights_title(best_by: str, epoch: str) -> str:
    """Which weights the numbers of a table belong to."""
    kind = KINDS[best_by]
    why = f"{'greatest' if kind.higher_is_better else 'least'} val {kind.words}"
    why += ", then least val loss" if best_by != "loss" else ""
    return f"Each split with the weights of the best epoch ({why}): {epoch}"


def metrics_table(
    metrics: dict[str, dict[str, float]], constant: dict[str, dict[str, float]], task: Task, title: str
) -> Table:
    """A row a metric: its value on each split, and what a constant answer has on the last of them."""
    table = Table(title=title, title_justify="left", title_style="")
    table.add_column("metric")
    *_, last = metrics
    for split in metrics:
        table.add_column(split, justify="right")
    table.add_column(f"constant answer, {last}" if len(metrics) > 1 else "constant answer", justify="right")
    for name in task.metrics:
        values = [*(of_split[name] for of_split in metrics.values()), constant[last].get(name, math.nan)]
        unit = " (own units)" if KINDS[name].own_units else ""
        table.add_row(f"{KINDS[name].words}{unit}", *(_metric_text(name, value) for value in values))
    return table


def _metric_text(name: str, value: float) -> str:
    return f"{value:#.4g}" if KINDS[name].own_units and math.isfinite(value) else score_text(value)


def importance_table(found: Importance) -> Table:
    """A row a column, the most important first: what shuffling it does to the metric, and the interval of that."""
    title = f"Permutation importance: {found.what} on {found.rows}, mean of {found.changes.shape[1]} shuffles"
    if (more := len(found.columns) - MOST_SHOWN) > 0:
        title += f"; importance.csv has {more} more columns"
    metric = Metric(found.metric, "test")
    table = Table(title=title, title_justify="left", title_style="")
    table.add_column("column")
    table.add_column("percentage points" if metric.percent else "importance", justify="right")
    table.add_column("95 % interval over shuffles", justify="right")
    rows = zip(found.columns, found.mean.tolist(), found.half_width.tolist(), strict=True)
    for name, mean, half in itertools.islice(rows, MOST_SHOWN):
        interval = f"{metric.signed(mean - half)} to {metric.signed(mean + half)}"
        table.add_row(Text(name), metric.signed(mean), interval)
    return table


def undefined_metrics(undefined: dict[str, dict[str, str]]) -> list[str]:
    """A line on each metric that a split cannot have."""
    return [f"no {KINDS[name].words}: {why}" for reasons in undefined.values() for name, why in reasons.items()]


def show_findings(findings: list[dict[str, Any]], out: Console) -> None:
    """What the doctor has found, a paragraph each."""
    for finding in findings:
        print_text(out, format_finding(finding))


def confusions(results: Results, rows: str = "the test split") -> str:
    """The classes that the network takes for each other most often, on the test split, or other `rows` in its place."""
    pairs = most_confused(results.confusion(results.data.test), results.data.task.classes)
    if not pairs:
        return f"no class of {rows} was taken for another"
    said = ", ".join(f"{true} taken for {predicted} ({count}×)" for true, predicted, count in pairs)
    return f"most confused: {said}"
