"""Arguments of the sub-commands that take a run directory: `RUN [key=value ...]`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from mlpexp.config.convert import check_keys
from mlpexp.errors import ConfigError


class Parser(argparse.ArgumentParser):
    """An argparse parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{self.prog.removeprefix('mlpexp ')}: {message}; see {self.prog} --help.")


def changes(pairs: Sequence[str], allowed: list[str]) -> dict[str, Any]:
    """The values of `key=value` words, read as Hydra reads overrides; ConfigError for a key that is not `allowed`.

    `device=NAME` stands for that device with its usual settings.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, _ = pair.partition("=")
        if not equals:
            raise ConfigError(f"{pair}: must be key=value, with key one of: {', '.join(allowed)}.")
        try:
            found[key] = OverridesParser.create().parse_override(pair).value()
        except HydraException:
            raise ConfigError(f"{pair}: the value cannot be read.") from None
    check_keys(found, allowed, "")
    if "device" in found:
        found["device"] = {"name": str(found["device"])}
    return found
