"""Arguments that several sub-commands take: a run directory, `RUN [key=value ...]`, and a new file, `--out FILE`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from mlpexp.errors import ConfigError, nearest, unknown
from mlpexp.figures.formats import FORMATS


class Parser(argparse.ArgumentParser):
    """An argparse parser whose errors are one line. Options may stand between other words."""

    def parse_args(self, arguments: Sequence[str]) -> argparse.Namespace:  # type: ignore[override]
        args, unknown_words = self.parse_known_intermixed_args(arguments)
        if unknown_words:
            self.error(unrecognized(unknown_words, self))
        return args

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{self.prog.removeprefix('mlpexp ')}: {message}; see {self.prog} --help.")


def unrecognized(words: Sequence[str], parser: argparse.ArgumentParser) -> str:
    """That words of a command line are none that the parser knows, and the option that the first of them may mean."""
    # argparse has no public list of its options.
    match = nearest(words[0], parser._option_string_actions) if words[0].startswith("-") else None
    return f"unrecognized arguments: {' '.join(words)}{f' (did you mean {match!r}?)' if match else ''}"


def new_file(path: Path, *suffixes: str) -> Path:
    """The file that --out names, or ConfigError before anything is computed."""
    if path.suffix.lower() not in suffixes:
        allowed = " or ".join(filter(None, [", ".join(suffixes[:-1]), suffixes[-1]]))
        raise ConfigError(f"--out={path}: must end in {allowed}.")
    if path.exists():
        raise ConfigError(f"--out={path}: already exists, and nothing is overwritten; choose another name.")
    return path


def add_format(parser: Parser, formats: Sequence[str] = FORMATS, default: str | None = "png") -> None:
    """The option --format of a command that writes figures."""
    said = f"of the figures: {', '.join(formats)}; else {formats[0]}"
    parser.add_argument("--format", choices=formats, default=default, metavar="FORMAT", help=said)


def run_parser(command: str, description: str, allowed: list[str], about_data: str, metavar: str = "RUN") -> Parser:
    """For a directory (`metavar` says whether of a run or of a sweep too), other values of the `allowed` keys, which
    `changes` reads, and --data."""
    parser = Parser(prog=f"mlpexp {command}", description=description)
    about_run = "the directory of a run or of a sweep" if "SWEEP" in metavar else "a run directory"
    parser.add_argument("run", metavar=metavar, type=_run, help=about_run)
    parser.add_argument(
        "changes", nargs="*", default=[], metavar="KEY=VALUE", help=f"other values of {', '.join(allowed)}"
    )
    parser.add_argument("--data", type=Path, metavar="FILE", help=about_data)
    return parser


def _run(given: str) -> str:
    """A run directory. For a job of a sweep its number is enough: SWEEP/3 stands for SWEEP/3_gelu_seed=1."""
    path = Path(given)
    if not path.name.isdecimal() or path.exists() or not path.parent.is_dir():
        return given
    found = list(path.parent.glob(f"{path.name}_*"))
    return str(found[0]) if len(found) == 1 else given


def changes(pairs: Sequence[str], allowed: list[str]) -> dict[str, Any]:
    """The values of `key=value` words, read as Hydra reads overrides; ConfigError for a key that is not `allowed`.

    `device=NAME` stands for that device with its default settings.
    """
    # Hydra's parser: `mlpexp list`, which takes no overrides, answers sooner without it.
    from mlpexp.config.overrides import parse_override

    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, _ = pair.partition("=")
        if not equals:
            raise ConfigError(f"{pair}: must be key=value, with key one of: {', '.join(allowed)}.")
        if key not in allowed:
            raise ConfigError(unknown(f"{pair}: cannot be changed here", key, allowed))
        parsed = parse_override(pair)
        if parsed.is_sweep_override():
            raise ConfigError(f"{pair}: must be one value.")
        found[key] = parsed.value()
    if isinstance(name := found.get("device"), str):
        from mlpexp.components.device import devices
        from mlpexp.config.user_code import load_plugins

        load_plugins(found.get("plugins"))
        if name not in devices:
            raise ConfigError(unknown(f"device={name}: no such device", name, devices, devices.synonyms))
        found["device"] = {"name": name}
    return found
