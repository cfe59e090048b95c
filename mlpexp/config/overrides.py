"""Overrides as Hydra's grammar reads them, and the values that a sweep lists."""

from __future__ import annotations

import contextlib
import functools
import math
import random
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, RangeSweep
from hydra.errors import HydraException

from mlpexp.errors import ConfigError
from mlpexp.fields.convert import show

# A key, and a value that holds none of the characters that mean something in Hydra's grammar.
_PLAIN_TEXT = re.compile(r"((?:\+{0,2}|~)[\w][\w./@:-]*)=(?!\w+\()([^\[\]{}$'\"\\,=]+)")
_KEY = re.compile(r"(?:\+{0,2}|~)\w+([./@:-]\w+)*")


@functools.lru_cache(maxsize=4096)
def parse_override(given: str) -> Override:
    """An override as Hydra's grammar reads it, or ConfigError.

    A value that the grammar needs quotes for, and that can only be meant as a text, is quoted: `path=data (1).csv`.
    The override's `input_line` is what Hydra itself reads.
    """
    # A byte of a file name that is not UTF-8 is a surrogate, which files and terminals cannot take.
    if any("\ud800" <= character <= "\udfff" for character in given):
        raise ConfigError(f"{show(given)}: is not UTF-8 text, as values of a config must be; use another name.")
    parser = _parser()
    try:
        parsed = _parsed(parser, given)
    except ConfigError:
        plain = _PLAIN_TEXT.fullmatch(given)
        if plain is None:
            raise
        with contextlib.suppress(ConfigError):
            return _parsed(parser, f"{plain[1]}={quote(plain[2])}")
        raise
    if not parsed.key_or_group:
        raise ConfigError(unreadable(given))
    return parsed


def _parsed(parser: OverridesParser, given: str) -> Override:
    try:
        return parser.parse_override(given)
    # The parser's own code fails where brackets are nested very deep, or a function is given what it cannot take.
    except (HydraException, RecursionError, ValueError, TypeError) as error:
        raise ConfigError(unreadable(given)) from error


@functools.cache
def _parser() -> OverridesParser:
    parser = OverridesParser.create()
    # Hydra 1.3.8 sorts range(1.3,0,-0.5) into 0.5, 1.0, 1.5.
    theirs = parser.functions.functions["sort"]

    def sort(*args: Any, **kwargs: Any) -> Any:
        (only,) = args if len(args) == 1 else (kwargs.get("sweep"),)
        if isinstance(only, RangeSweep):
            return _sorted_range(only, bool(kwargs.get("reverse", False)))
        return theirs(*args, **kwargs)

    parser.functions.functions["sort"] = sort
    return parser


def unreadable(given: str) -> str:
    """The message for an override that Hydra's grammar cannot read."""
    key, equals, value = given.partition("=")
    shown = show(given) or "''"
    line = f"{shown}: cannot be read; an override is key=value, such as optimizer.lr=0.01 or model.hidden=[8,8]."
    if equals and _KEY.fullmatch(key) and value and len(given) < 80 and "'" not in value:
        line += f""" A text with such characters needs quotes: '{key}="{value.replace('"', "")}"'."""
    return line


def quote(text: str) -> str:
    """A text as one value of Hydra's override grammar, with any characters in it.

    Backslashes are escaped where they would escape something: before a quote, at the end, before `${`, which would
    otherwise be resolved.
    """
    escaped = re.sub(r"(\\*)\$\{", r"\1\1\\${", text)
    escaped = re.sub(r"(\\*)('|$(?![\s\S]))", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), escaped)
    return f"'{escaped}'"


def fixed(overrides: Sequence[str]) -> list[str]:
    """The overrides that give one value."""
    return [given for given in overrides if not parse_override(given).is_sweep_override()]


def several(given: str) -> str:
    """The message for an override of several values where only one is allowed."""
    key, _, value = given.partition("=")
    text = f""", or '{key}="{value}"' for a text""" if not set(value) & set("\"'[]{}()") else ""
    return f"{given}: several values are a sweep; add -m, or write [a,b] for a list{text}."


def is_about_hydra(given: str) -> bool:
    """Whether an override is about Hydra itself."""
    return given.lstrip("+~").startswith(("hydra.", "hydra/", "hydra="))


def is_about_sweep(given: str) -> bool:
    """Whether an override says which jobs a sweep has; see `schema.Sweep`."""
    return given.lstrip("+~").startswith(("sweep.", "sweep="))


def count(override: Override, loader: ConfigLoader | None = None) -> int:
    """How many values an override gives its key, found without listing them; ConfigError where it is unknown."""
    if not override.is_sweep_override():
        return 1
    given = override.input_line
    if not override.is_discrete_sweep():
        raise ConfigError(f"{given}: must list its values, such as choice(1,2); or choose another hydra/sweeper.")
    sweep: Any = override.value()
    if isinstance(sweep, RangeSweep):
        n = _length(sweep)
        if n is None:
            raise ConfigError(f"{given}: must go in steps from one number to another, such as range(1,10,3).")
    else:
        override.config_loader = loader
        n = len(list(override.sweep_iterator()))
    if n < 1:
        raise ConfigError(f"{given}: lists no values.")
    return n


def values(override: Override, loader: ConfigLoader | None = None) -> Iterator[str]:
    """What an override gives its key, as `key=value` each; one for an override that lists no values.

    shuffle(…) gives another order at each call.
    """
    key = override.get_key_element()
    if not override.is_sweep_override():
        yield override.input_line or ""
        return
    sweep: Any = override.value()
    if isinstance(sweep, RangeSweep):
        numbers: Any = _numbers(sweep)
        if sweep.shuffle:
            numbers = list(numbers)
            random.shuffle(numbers)
        yield from (f"{key}={number}" for number in numbers)
        return
    # For glob(*): the options that there are.
    override.config_loader = loader
    for text in override.sweep_string_iterator():
        # Hydra writes True where the user wrote true.
        yield f"{key}={text.lower() if text in ('True', 'False') else text}"


def _length(sweep: RangeSweep) -> int | None:
    """The number of values of a range; None where it never ends, or its bounds are not numbers."""
    start, stop, step = (float(number) for number in (sweep.start, sweep.stop, sweep.step))  # type: ignore[arg-type]
    if not (step and all(map(math.isfinite, (start, stop, step)))):
        return None
    return max(0, math.ceil((_fraction(sweep.stop) - _fraction(sweep.start)) / _fraction(sweep.step)))


def _fraction(number: Any) -> Decimal:
    """A number as it is written."""
    return Decimal(repr(number))


def _numbers(sweep: RangeSweep) -> Iterator[int | float]:
    """The values of a range as they are written: 0.3, where adding 0.1 in floats gives 0.30000000000000004."""
    whole = all(isinstance(number, int) for number in (sweep.start, sweep.stop, sweep.step))
    start, step = _fraction(sweep.start), _fraction(sweep.step)
    for index in range(_length(sweep) or 0):
        number = start + index * step
        yield int(number) if whole else float(number)


def _sorted_range(sweep: RangeSweep, reverse: bool) -> RangeSweep | ChoiceSweep:
    """The same values in order, smallest first or with `reverse` last; not listed, as they can be very many."""
    n = _length(sweep)
    if not n or (sweep.step > 0) != reverse:
        return sweep
    assert sweep.start is not None
    whole = all(isinstance(number, int) for number in (sweep.start, sweep.stop, sweep.step))
    last = _fraction(sweep.start) + (n - 1) * _fraction(sweep.step)
    # Any end between the last value and one step behind it.
    stop = _fraction(sweep.start) - (_fraction(sweep.step) if whole else _fraction(sweep.step) / 2)
    kind = int if whole else float
    return RangeSweep(start=kind(last), stop=kind(stop), step=-sweep.step)
