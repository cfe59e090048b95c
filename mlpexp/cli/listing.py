"""`mlpexp list`: what there is to choose from, and what each key of a config is."""

# Nothing here imports torch, and only parameters need Hydra, so that lists appear at once.
from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from mlpexp.cli.arguments import Parser, changes
from mlpexp.cli.console import console
from mlpexp.config.locate import Option, config_directory, groups, options
from mlpexp.errors import ConfigError, unknown

if TYPE_CHECKING:
    from mlpexp.config.parameters import Parameter

# The word in place of a group for the keys that belong to no group.
KEYS = "keys"

_MORE = """
mlpexp list GROUP        says what each option is
mlpexp list GROUP NAME   shows the parameters of one
mlpexp list keys         shows all other keys of a run: epochs, seed, clip, ...
mlpexp train GROUP=NAME  chooses an option"""
# The maximum width of a column, in characters: in a pipe, and on a terminal, where the last column has no limit.
_WIDEST, _NARROW = 40, 20


def run(arguments: list[str]) -> int:
    parser = Parser(prog="mlpexp list", description=__doc__.split(": ", 1)[1])
    parser.add_argument(
        "words",
        nargs="*",
        metavar="GROUP [NAME] [plugins=[MODULE]]",
        help="a group such as activation, and an option of it, with the modules that register components of your "
        "own; or keys, or one key of a run such as epochs or log",
    )
    parser.add_argument("--config-dir", metavar="DIR", help="a directory of your own options beside mlpexp's")
    args = parser.parse_args(arguments)
    names = [word for word in args.words if "=" not in word]
    if len(names) > 2:
        parser.error(f"unrecognized arguments: {' '.join(names[2:])}")
    group, name = [*names, None, None][:2]
    more = [] if args.config_dir is None else [config_directory(args.config_dir)]
    known = groups(*more)
    plugins = _plugins([word for word in args.words if "=" in word], known, name)
    if group is None:
        _print([(known_group, ", ".join(o.name for o in options(known_group, *more))) for known_group in known])
        console().print(_MORE)
    elif group not in known and name is None:
        _show_keys(group, known, args.config_dir)
    elif group not in known:
        raise ConfigError(unknown(f"{group}: no such group", group, known))
    elif name is None:
        _print([(option.name, option.comment) for option in options(group, *more)])
    else:
        _show_option(group, name, options(group, *more), plugins, args.config_dir)
    return 0


def _plugins(overrides: Sequence[str], known: Sequence[str], name: str | None) -> Sequence[str]:
    """The overrides; ConfigError for any but `plugins`, and for that one without a NAME."""
    for given in overrides:
        group, _, option = given.partition("=")
        if group in known:
            raise ConfigError(f"{given}: write mlpexp list {group} {option}.")
        changes([given], ["plugins"])
        if name is None:
            raise ConfigError(f"{given}: has no effect without a NAME; leave it out.")
    return overrides


def _show_keys(word: str, known: Sequence[str], config_dir: str | None) -> None:
    """The keys of a run, or the one that `word` names with those below it."""
    from mlpexp.config.compose import Composer
    from mlpexp.config.parameters import keys
    from mlpexp.config.schema import SETTINGS

    rows = keys(Composer(config_dir).raw([]))
    shown = rows if word == KEYS else [row for row in rows if f"{row.name}.".startswith((f"{word}.", f"{word}[]"))]
    if not shown:
        beside = [row.name for row in rows if row.name.startswith(f"{word.partition('.')[0]}.")]
        raise ConfigError(unknown(f"{word}: no such group or key", word, beside or [*known, KEYS, *SETTINGS]))
    _print_parameters("key", shown)


def _show_option(
    group: str, name: str, known: Sequence[Option], plugins: Sequence[str], config_dir: str | None
) -> None:
    from mlpexp.config.compose import Composer
    from mlpexp.config.overrides import quote
    from mlpexp.config.parameters import describe
    from mlpexp.config.schema import LIST_GROUPS, REGISTRIES

    option = next((option for option in known if option.name == name), None)
    if group not in REGISTRIES:
        # An experiment, or a group of the user's own: what it sets is what its file says.
        if option is None:
            raise ConfigError(unknown(f"{group}={name}: no such option", name, [option.name for option in known]))
        lines = option.path.read_text(encoding="utf-8", errors="replace").splitlines()
        console().print(Text("\n".join(line for line in lines if not line.startswith("# @"))))
        return
    choice, quoted = (
        f"{group}=[{text}]" if group in LIST_GROUPS else f"{group}={text}" for text in (name, quote(name))
    )
    described = describe(Composer(config_dir).raw([quoted, *plugins]), group)
    out = console()
    out.print(Text(choice, style="bold"))
    if option is not None and option.comment:
        out.print(Text(option.comment))
    for part in described:
        for paragraph in _paragraphs(part.cls):
            out.print(Text(paragraph))
        if part.cls is None:
            what = f"{part.key}.name={part.name}: is not registered"
            out.print(Text(f"{what}; plugins=[MODULE], the module that registers it, shows its parameters too."))
        out.print()
        if part.parameters:
            _print_parameters("parameter", part.parameters)
            named = [row for row in part.parameters if row.default and not row.name.startswith("recommended.")]
            # The one that must be given, where there is one.
            first = min(named or part.parameters, key=lambda row: row.default != "required").name
            out.print(Text(f"\nOverrides: {choice} {part.key}.{first}=VALUE"))
        else:
            out.print(Text(f"It has no parameters. Override: {choice}"))


def _paragraphs(cls: type | None) -> list[str]:
    """The docstring of a component, a line for each paragraph; none where `dataclass` generated it."""
    text = inspect.cleandoc((cls and cls.__doc__) or "")
    if cls is None or text.startswith(f"{cls.__name__}("):
        return []
    return [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]


def _print_parameters(title: str, rows: Sequence[Parameter]) -> None:
    """Parameters in four columns or, on a terminal, where four would be narrow, in three."""
    if not console().is_terminal:
        cells = [(row.name, row.default, row.allowed, row.meaning) for row in rows]
        _print(cells, (title, "default", "allowed", "what it is"))
        return
    folded = []
    for row in rows:
        lines = [Text(row.meaning), Text(row.allowed, style="dim")]
        folded.append((row.name, row.default, Text("\n").join(line for line in lines if line)))
    _print(folded, (title, "default", "what it is, and what is allowed"))


def _print(rows: Sequence[Sequence[str | Text]], header: Sequence[str] = ()) -> None:
    """Rows of cells; folded to the terminal's width, one line each in a pipe."""
    out = console()
    if not out.is_terminal:
        lines = [header, *rows] if header else rows
        widths = [min(_WIDEST, max(map(len, column))) for column in zip(*lines, strict=True)]
        for line in lines:
            *cells, last = (f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True))
            out.print(Text("  ".join([*cells, last.rstrip()]).rstrip()))
        return
    table = Table(show_header=bool(header), box=None, padding=(0, 2, 0, 0), pad_edge=False)
    titles = list(header) or [""] * len(rows[0])
    table.add_column(titles[0], no_wrap=True, style="bold")
    for title in titles[1:-1]:
        table.add_column(title, max_width=_NARROW, overflow="fold")
    table.add_column(titles[-1], overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    out.print(table)
