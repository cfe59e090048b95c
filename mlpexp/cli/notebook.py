"""`mlpexp notebook`: runs every experiment and picture of the course notebook, and writes one page of them all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from mlpexp.cli.arguments import Parser
from mlpexp.errors import ConfigError, RunError, unknown
from mlpexp.report.exhibits import EXHIBITS, PAGE, Exhibit, Experiment

# At most this many seeds of a list are checked beforehand; each experiment checks all of its own.
_MOST_JOBS = 20


def run(arguments: list[str]) -> int:
    parser = Parser(prog="mlpexp notebook", description=__doc__.split(": ", 1)[1])
    parser.add_argument(
        "overrides", nargs="*", metavar="OVERRIDE", help="for every experiment, such as epochs=1 or seed=0,1"
    )
    parser.add_argument("--only", metavar="NAME,...", help="some of: " + ", ".join(entry.name for entry in EXHIBITS))
    parser.add_argument("--out", metavar="DIR", help="a new directory, or one of an earlier call, which is continued")
    args = parser.parse_args(arguments)
    exhibits = EXHIBITS if args.only is None else _chosen(args.only.split(","))
    _check(exhibits, args.overrides)

    from rich.text import Text

    from mlpexp.cli.console import console
    from mlpexp.cli.main import call
    from mlpexp.report.notebook import run_exhibits
    from mlpexp.run.directory import claim_new

    directory = _directory(args.out) or claim_new(Path(f"outputs/notebook/{datetime.now():%Y-%m-%d_%H-%M-%S}"))
    out = console()
    failed = run_exhibits(exhibits, directory, args.overrides, call, lambda line: out.print(Text(line, style="bold")))
    out.print(Text(f"written to {directory / PAGE}"))
    if failed:
        raise RunError(f"{len(failed)} of {len(exhibits)} exhibits failed: {', '.join(failed)}; {directory / PAGE}")
    return 0


def _chosen(names: Sequence[str]) -> tuple[Exhibit, ...]:
    known = {exhibit.name: exhibit for exhibit in EXHIBITS}
    for name in names:
        if name not in known:
            raise ConfigError(unknown(f"--only={name}: no such exhibit", name, known))
    return tuple(exhibit for exhibit in EXHIBITS if exhibit.name in names)


def _check(exhibits: Sequence[Exhibit], overrides: Sequence[str]) -> None:
    """ConfigError where no experiment takes the overrides; those that some do not take, the page names."""
    from mlpexp.config.compose import compose
    from mlpexp.sweep.jobs import expand

    names = [exhibit.name for exhibit in exhibits if isinstance(exhibit, Experiment)] if overrides else []
    wrong: list[ConfigError] = []
    for name in names:
        try:
            for job in expand(overrides)[:_MOST_JOBS]:
                compose([f"experiment={name}", *job])
        except ConfigError as error:
            wrong.append(error)
        else:
            return
    if wrong:
        raise wrong[0]


def _directory(named: str | None) -> Path | None:
    """The directory that the user names: new, empty, or of an earlier call."""
    if named is None:
        return None
    path = Path(named)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--out={named}: cannot be made: {error.strerror}.") from None
    known = {exhibit.name for exhibit in EXHIBITS} | {f"{exhibit.name}.png" for exhibit in EXHIBITS} | {PAGE}
    strange = sorted(entry.name for entry in path.iterdir() if entry.name not in known)
    if strange:
        raise ConfigError(f"--out={named}: holds other files, such as {strange[0]}; choose another directory.")
    return path
