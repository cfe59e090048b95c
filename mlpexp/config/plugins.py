"""Modules of a user's own, which register components."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from mlpexp.config.user_code import SHOW_ALL, in_one_line, raised_at
from mlpexp.errors import ConfigError
from mlpexp.fields.convert import show


def load_plugins(names: object) -> None:
    """Imports the modules that `plugins` names, from the working directory too, so that they register components."""
    if names is None:
        return
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"plugins={show(names)}: must be a list of modules, such as [my_module].")
    for name in names:
        here = str(Path.cwd())
        added = here not in sys.path
        if added:
            sys.path.insert(0, here)
        try:
            importlib.import_module(name)
        except Exception as error:  # whatever the module does
            reason = str(error).rstrip(".") if isinstance(error, ImportError) else in_one_line(error)
            place = raised_at(error, [name])
            at = f" ({place}). {SHOW_ALL}" if place else "."
            raise ConfigError(f"plugins=[{name}]: cannot be imported: {reason}{at}") from error
        finally:
            if added and here in sys.path:
                sys.path.remove(here)
