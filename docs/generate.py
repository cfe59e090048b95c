"""`make docs`: writes docs/reference/ from the registries, the schema and the help of the commands.

Each page is what `mlpexp list` and `--help` show, as Markdown. tests/test_docs.py asks that the pages are current.
"""

from __future__ import annotations

import inspect
import io
import os
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import fields
from functools import partial
from pathlib import Path

from mlpexp.cli.main import COMMANDS, call
from mlpexp.config.compose import Composer
from mlpexp.config.locate import groups, options
from mlpexp.config.metric import KINDS
from mlpexp.config.overrides import quote
from mlpexp.config.parameters import Parameter, describe, keys
from mlpexp.config.schema import LIST_GROUPS, REGISTRIES
from mlpexp.data.task import METRICS_OF
from mlpexp.fields.describe import meanings
from mlpexp.run.record import Record

TARGET = Path(__file__).parent / "reference"
_MADE = "<!-- Written by `make docs`. Change the docstrings, the YAML headers or the parsers instead. -->\n"


def pages() -> dict[str, Callable[[], str]]:
    """What writes each page, by its file name."""
    composer = Composer(None)
    found: dict[str, Callable[[], str]] = {f"{group}.md": partial(_group, group, composer) for group in groups()}
    found |= {"keys.md": partial(_keys, composer), "commands.md": _commands, "metrics.md": _metrics}
    found |= {"run_json.md": _record}
    return found | {"README.md": partial(_index, list(found))}


def _page(title: str, *parts: str) -> str:
    return "\n\n".join([f"{_MADE}\n# {title}", *filter(None, parts)]) + "\n"


def _index(found: Iterable[str]) -> str:
    """The table of contents."""
    lines = [f"- [{path.removesuffix('.md')}]({path})" for path in sorted(found)]
    return _page("Reference", "What `mlpexp list` and `--help` show, a page each.", "\n".join(lines))


def _group(group: str, composer: Composer) -> str:
    """The options of a group: of each its line, formula and source, and the parameters."""
    chosen = f"`{group}=[NAME,…]` chooses any number" if group in LIST_GROUPS else f"`{group}=NAME` chooses one"
    names = ", ".join(f"[{option.name}](#{_anchor(option.name)})" for option in options(group))
    parts = [f"{chosen} of {names}."]
    for option in options(group):
        parts += [f"## {option.name}", _plain(option.comment)]
        if group not in REGISTRIES:
            lines = option.path.read_text(encoding="utf-8").splitlines()
            parts.append("\n".join(["```yaml", *(line for line in lines if not line.startswith("# @")), "```"]))
            continue
        name = quote(option.name)
        choice = f"{group}=[{name}]" if group in LIST_GROUPS else f"{group}={name}"
        for part in describe(composer.raw([choice]), group):
            parts.append(_plain(inspect.cleandoc((part.cls and part.cls.__doc__) or "")))
            parts.append(_parameters(part.parameters, f"{part.key}."))
    return _page(group, *parts)


def _keys(composer: Composer) -> str:
    said = "All keys of a config but the parameters of components, which stand on the page of their group."
    return _page("Keys of a config", said, _parameters(keys(composer.raw([])), ""))


def _parameters(rows: Sequence[Parameter], key: str) -> str:
    cells = [(f"`{key}{row.name}`", f"`{row.default}`" * bool(row.default), row.allowed, row.meaning) for row in rows]
    return _table(("key", "default", "allowed", "what it is"), cells) if rows else ""


def _commands() -> str:
    parts = [
        "Exit codes: 0 done; 1 the run failed (diverged, disk full), or a job of the sweep; 2 the command, the config "
        "or the data are wrong, and nothing was written; 130, 143 and 129 interrupted by Ctrl-C, SIGTERM or a closed "
        "terminal, after a checkpoint."
    ]
    for command in COMMANDS:
        parts += [f"## mlpexp {command}", f"```\n{_help(command)}\n```"]
    return _page("Commands", *parts)


def _help(command: str) -> str:
    """What the command prints for --help, 100 columns wide."""
    said, before = io.StringIO(), os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "100"
    try:
        with redirect_stdout(said), suppress(SystemExit):
            call([command, "--help"])
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before
    return "\n".join(line.rstrip() for line in said.getvalue().strip().splitlines())


def _metrics() -> str:
    rows = []
    for name, kind in KINDS.items():
        tasks = ", ".join(task for task, names in METRICS_OF.items() if name in names)
        rows.append((f"`{name}`", tasks, "higher" if kind.higher_is_better else "lower", kind.meaning))
    return _page(
        "Metrics",
        "Of each split, with the best weights, beside what a constant answer scores. `NAME/SPLIT` names one: "
        "`accuracy/test`. A metric that a split has not is null in run.json, and `undefined` says why.",
        _table(("metric", "task", "better is", "what it is"), rows),
    )


def _record() -> str:
    texts = meanings(Record)
    rows = [(f"`{field.name}`", texts.get(field.name, "")) for field in fields(Record)]
    return _page("run.json", _plain(inspect.cleandoc(Record.__doc__ or "")), _table(("key", "what it is"), rows))


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _plain(text: str) -> str:
    """Text that Markdown leaves as it is: no emphasis of names such as val_loss or of λ*."""
    return re.sub(r"(?<!`)([*_<>])(?!`)", r"\\\1", text) if "`" not in text else text


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


if __name__ == "__main__":
    TARGET.mkdir(exist_ok=True)
    found = pages()
    for stale in {path.name for path in TARGET.glob("*.md")} - set(found):
        (TARGET / stale).unlink()
    for name, written in found.items():
        (TARGET / name).write_text(written(), encoding="utf-8")
    print(f"{TARGET}: {len(found)} pages")
