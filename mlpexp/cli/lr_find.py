"""`mlpexp lr-find`: trains a few steps at a rising learning rate, over several seeds, and suggests rates."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlpexp.cli.arguments import Parser, add_format
from mlpexp.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from mlpexp.lr_finder.find import Finding, RangeTest


def run(arguments: list[str]) -> int:
    parser = Parser(prog="mlpexp lr-find", description=__doc__.split(": ", 1)[1])
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="as for mlpexp train, such as optimizer=sgd")
    parser.add_argument(
        "--from", dest="lowest", type=float, metavar="LR", help="the first rate; else 1e-5 for SGD, 1e-6 for others"
    )
    parser.add_argument("--to", dest="highest", type=float, default=10.0, metavar="LR", help="the last rate; else 10")
    parser.add_argument("--steps", type=int, default=300, metavar="N", help="how many rates, a step each; else 300")
    parser.add_argument("--seeds", type=int, default=4, metavar="N", help="how many seeds, from seed on; else 4")
    parser.add_argument("--config-dir", "-cd", metavar="DIR", help="a directory of your own options")
    parser.add_argument("--config-name", "-cn", metavar="NAME", default="config", help="the main config; else config")
    parser.add_argument("--out", metavar="DIR", help="a new directory for the figure and the CSV")
    add_format(parser)
    args = parser.parse_args(arguments)

    from mlpexp.cli.console import console, print_text
    from mlpexp.config.compose import compose
    from mlpexp.lr_finder.find import prepared_test
    from mlpexp.lr_finder.report import write_report
    from mlpexp.run.directory import claim_named, claim_new

    _check_single(args.overrides)
    config = compose(args.overrides, args.config_dir, args.config_name)
    test = prepared_test(config, lowest=args.lowest, highest=args.highest, steps=args.steps, seeds=args.seeds)
    # A directory that cannot be made is reported before the training.
    named = None if args.out is None else claim_named(Path(args.out), "--out")
    out = console()
    print_text(out, _setup(test))
    finding = test.run()
    directory = named or claim_new(Path(f"outputs/lr_find/{datetime.now():%Y-%m-%d/%H-%M-%S}"))
    written = write_report(finding, directory, ["mlpexp", "lr-find", *arguments], args.format)

    out.print(_table(finding))
    for remark in finding.remarks:
        print_text(out, remark)
    if finding.lr is not None:
        options = {"--config-dir": args.config_dir, "--config-name": args.config_name}
        print_text(out, _paste(args.overrides, options, finding.lr))
    print_text(out, f"written to {directory}: {', '.join(path.name for path in written)}")
    return 0


def _check_single(overrides: Sequence[str]) -> None:
    from mlpexp.config.overrides import parse_override

    for given in overrides:
        if parse_override(given).is_sweep_override():
            raise ConfigError(f"{given}: must be one value; or write [a,b] for a list.")


def _setup(test: RangeTest) -> str:
    """What will be trained."""
    from mlpexp.cli.terminal import named

    n, n_stacks = len(test.configs), len(test.stacks)
    first, last = test.configs[0].seed, test.configs[-1].seed
    seeds = f"seed {first}" if n == 1 else f"seeds {first} to {last}"
    how = "" if n == 1 else ", one after the other" if n_stacks == n else ", trained as one" if n_stacks == 1 else ""
    what = ", ".join(named(test.config, group) for group in ("dataset", "model", "optimizer"))
    rates = f"{len(test.rates)} rates from {test.rates[0]:.2g} to {test.rates[-1]:.2g}"
    return f"{what}\n{rates}; {seeds}{how}; {test.prepared.device}"


def _table(finding: Finding) -> Table:
    """A row for each rule: the rate that it found, what this rate is meant for, and where it is read off."""
    from rich.table import Table

    table = Table(title="Learning rates", title_justify="left", title_style="")
    table.add_column("rule")
    table.add_column("lr", justify="right")
    table.add_column("meant for")
    table.add_column("read off where")
    for found in finding.suggestions:
        table.add_row(
            found.rule.name, "–" if found.lr is None else f"{found.lr:.2g}", found.rule.meant_for, found.rule.where
        )
    table.add_row("config", f"{finding.config.optimizer.lr:.2g}", "", "")
    return table


def _paste(overrides: Sequence[str], options: dict[str, str | None], lr: float) -> str:
    """The command that trains with the same overrides at this rate."""
    from mlpexp.config.overrides import parse_override

    kept = [given for given in overrides if parse_override(given).key_or_group != "optimizer.lr"]
    given = [f"{name}={value}" for name, value in options.items() if value not in (None, "config")]
    return shlex.join(["mlpexp", "train", *given, *kept, f"optimizer.lr={lr:.2g}"])
