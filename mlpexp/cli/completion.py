"""Shell completion: Hydra's own, taught that mlpexp has sub-commands.

The shell function that Hydra installs calls `mlpexp -sc query=SHELL` with the whole line in COMP_LINE, and
takes what is printed for the choices. Hydra completes overrides as if they stood right behind the program.
"""

from __future__ import annotations

import os
import sys

import hydra
from omegaconf import DictConfig

from mlpexp.cli.main import COMMANDS
from mlpexp.cli.plot import KINDS
from mlpexp.config.locate import CONF, groups
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
            _print([group for group in groups() if group.startswith(overrides.strip())], shell)
            return 0
        if command == "plot":
            kind, space, overrides = overrides.lstrip().partition(" ")
            if not space:
                _print([name for name in KINDS if name.startswith(kind)], shell)
                return 0
        elif command not in ("train", "lr-find"):
            return 0  # what is left are directories, which the shell completes itself
        os.environ["COMP_LINE"] = f"{program} {overrides}"
        arguments = [*arguments, *_config_dir(overrides.split())]
    sys.argv = ["mlpexp", *arguments]
    hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")(_never)()
    return 0


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
