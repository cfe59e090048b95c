"""Shell completion: Hydra's own, extended to mlpexp's sub-commands.

The shell function that Hydra installs calls `mlpexp -sc query=SHELL` with the whole line in COMP_LINE, and
takes what is printed for the choices. Hydra completes overrides as if they stood right behind the program.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig

from mlpexp.cli.listing import KEYS
from mlpexp.cli.main import COMMANDS
from mlpexp.cli.plot import KINDS
from mlpexp.config.locate import CONF, groups, options
from mlpexp.config.schema import SETTINGS
from mlpexp.errors import ConfigError


def run(arguments: list[str]) -> int:
    """Answers `-sc install=SHELL`, `-sc uninstall=SHELL` and `-sc query=SHELL`."""
    request = arguments[1] if len(arguments) > 1 else ""
    action, _, shell = request.partition("=")
    if action not in ("install", "uninstall", "query") or shell not in ("bash", "zsh", "fish"):
        raise ConfigError(f"-sc {request}: must be install=, uninstall= or query= with bash, zsh or fish.")
    if action == "query":
        line = os.environ.get("COMP_LINE", "")
        program, _, rest = line.lstrip().partition(" ")
        command, space, overrides = rest.lstrip().partition(" ")
        if not space:
            _print([name for name in COMMANDS if name.startswith(command)], shell)
            return 0
        if command == "list":
            _print(_of_list(overrides), shell)
            return 0
        if command == "plot":
            kind, space, overrides = overrides.lstrip().partition(" ")
            if not space:
                _print([name for name in KINDS if name.startswith(kind)], shell)
                return 0
        elif command not in ("train", "lr-find"):
            return 0  # the rest are directories, which the shell completes itself
        os.environ["COMP_LINE"] = f"{program} {overrides}"
        arguments = [*arguments, *_config_dir(overrides.split())]
    sys.argv = ["mlpexp", *arguments]
    hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")(_never)()
    return 0


def _of_list(line: str) -> list[str]:
    """What `mlpexp list` takes next: a group or a key, or an option of the group that the line has."""
    *before, begun = f"{line}|".split()
    begun = begun.removesuffix("|")
    config_dir = _config_dir(before)
    names = [word for word in before if word not in config_dir and not word.startswith("plugins=")]
    more = [path for path in map(Path, (word.partition("=")[2] or word for word in config_dir[-1:])) if path.is_dir()]
    if before and before[-1] == "--config-dir":
        return []  # a directory, which the shell completes itself
    choices = [*groups(*more), KEYS, *SETTINGS] if not names else []
    if len(names) == 1 and names[0] in groups(*more):
        choices = [option.name for option in options(names[0], *more)]
    return [choice for choice in choices if choice.startswith(begun)]


def _print(choices: list[str], shell: str) -> None:
    print(("\n" if shell == "fish" else " ").join(choices))


def _config_dir(words: list[str]) -> list[str]:
    """The option --config-dir as the line has it, so that its options complete too."""
    for index, word in enumerate(words):
        if word.startswith("--config-dir="):
            return [word]
        if word in ("--config-dir", "-cd") and index + 1 < len(words):
            return ["--config-dir", words[index + 1]]
    return []


def _never(_: DictConfig) -> None:
    raise AssertionError("Hydra answers a completion without running anything")
