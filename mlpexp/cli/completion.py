"""`mlpexp completion`: prints what makes a shell complete the words of mlpexp's command lines.

The script calls `mlpexp completion SHELL LINE` for each press of Tab, LINE being the command line up to the cursor, and
offers what that prints: choices, one a line. Where nothing is printed, it completes names of files.
"""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from mlpexp.cli.arguments import Parser
from mlpexp.cli.listing import KEYS
from mlpexp.cli.main import COMMANDS, MODULES
from mlpexp.cli.plot import KINDS
from mlpexp.config.locate import config_directory, groups, options
from mlpexp.config.schema import SETTINGS
from mlpexp.errors import ConfigError, unknown

# A choice that ends in one of =./ goes on, as a list of values may: no space follows these.
SCRIPTS = {
    # Readline takes what follows a `=` for a word of its own. Without `mapfile`, which the bash of macOS lacks.
    "bash": """\
_mlpexp_completion() {
    local line=${COMP_LINE:0:COMP_POINT} choice word before=
    word=${line##*[[:space:]]}
    case $COMP_WORDBREAKS in *=*) before=${word%"${word##*=}"} ;; esac
    COMPREPLY=()
    while IFS= read -r choice; do
        case $choice in *=* | *. | */) ;; *) choice+=" " ;; esac
        COMPREPLY+=("${choice#"$before"}")
    done < <("${1/#\\~/$HOME}" completion bash "$line" 2>/dev/null)
}
complete -o nospace -o default -F _mlpexp_completion mlpexp
""",
    "zsh": """\
_mlpexp_completion() {
    local -a choices going_on
    choices=(${(f)"$(${~words[1]} completion zsh "${(j: :)words[1,CURRENT-1]} $PREFIX" 2>/dev/null)"})
    if (( ! $#choices )); then
        _files
        return
    fi
    going_on=(${(M)choices:#*(=*|.|/)})
    compadd -S '' -a going_on
    choices=(${choices:|going_on})
    compadd -a choices
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _mlpexp_completion mlpexp
""",
    "fish": """\
function __mlpexp_completion
    set -l words (commandline -opc)
    set -l choices ($words[1] completion fish (commandline -cp) 2>/dev/null)
    if set -q choices[1]
        printf '%s\\n' $choices
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c mlpexp -f -a '(__mlpexp_completion)'
""",
}
# Options with a value that no list can give: a file, a directory, a name, a number.
_WITH_VALUE = re.compile(r"--(config-dir|config-name|out|data|title|target|keep|baseline|only|port|host)|-cd|-cn")
_OF_PATHS = re.compile(r"(.*[._])?(path|dir)")


def run(arguments: list[str]) -> int:
    parser = Parser(prog="mlpexp completion", description=(__doc__ or "").splitlines()[0].split(": ", 1)[1])
    parser.add_argument("shell", metavar="SHELL", help=", ".join(SCRIPTS))
    parser.add_argument("line", nargs="?", metavar="LINE", help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.shell not in SCRIPTS:
        raise ConfigError(unknown(f"completion {args.shell}: no such shell", args.shell, SCRIPTS))
    if args.line is None:
        print(SCRIPTS[args.shell], end="")
    else:
        print("".join(f"{choice}\n" for choice in choices(args.line)), end="")
    return 0


def choices(line: str) -> list[str]:
    """What the last word of a command line can become; empty where that is a file or nothing that is known."""
    words = _words(line)
    if len(words) < 2:
        return []
    _, *before, begun = words
    if not before:
        return _beginning(begun, COMMANDS)
    command, *before = before
    if begun.startswith("-") or (before and _WITH_VALUE.fullmatch(before[-1])):
        return []
    config_dir = _config_dir(before)
    given = [word for word in before if not word.startswith("-") and word not in config_dir]
    more = [config_directory(directory) for directory in config_dir]
    if command == "list":
        return _beginning(begun, _of_list([word for word in given if not word.startswith("plugins=")], more))
    if command == "completion":
        return [] if given else _beginning(begun, SCRIPTS)
    if command == "plot" and not given:
        return _beginning(begun, KINDS)
    if command in ("eval", "resume") and given:
        allowed = importlib.import_module(f"mlpexp.cli.{MODULES.get(command, command)}").ALLOWED
        return [choice for choice in _overrides(begun, [], more) if re.split("[=.]", choice)[0] in allowed]
    if command in ("train", "lr-find", "plot", "extend") and (given or command != "extend"):
        return _overrides(begun, given[1:] if command in ("plot", "extend") else given, more)
    return []


def _words(line: str) -> list[str]:
    """The words of a line as a shell takes it apart, the last one as far as it has been typed."""
    for closing in ("", "'", '"'):
        try:
            words = shlex.split(line + closing)
        except ValueError:
            continue
        return [*words, ""] if not closing and line[-1:].isspace() else words
    return line.split(" ")


def _beginning(begun: str, names: Sequence[str] | dict[str, str]) -> list[str]:
    return [name for name in names if name.startswith(begun)]


def _of_list(given: Sequence[str], more: Sequence[Path]) -> list[str]:
    """What `mlpexp list` takes next: a group or a key, or an option of the group that it has."""
    known = groups(*more)
    if not given:
        return [*known, KEYS, *SETTINGS]
    return [option.name for option in options(given[0], *more)] if given[0] in known and len(given) == 1 else []


def _overrides(begun: str, given: Sequence[str], more: Sequence[Path]) -> list[str]:
    """What an override can become, by the overrides before it and the directory that --config-dir names."""
    key, equals, value = begun.partition("=")
    if equals and _OF_PATHS.fullmatch(key):
        return [f"{key}={path}" for path in _paths(value, directories=not key.endswith("path"))]
    if equals and key in groups(*more):
        # Of several values, as -m and the regularizers take them, the last one is being typed.
        done = value[: max(value.rfind(","), value.rfind("[")) + 1]
        names = [option.name for option in options(key, *more) if option.name not in re.split(r"[\[,]", done)]
        return [f"{key}={done}{name}" for name in _beginning(value.removeprefix(done), names)]

    from mlpexp.cli.hydra_app import errors_of_ours
    from mlpexp.config import hydra_adapter
    from mlpexp.config.overrides import parse_override

    with errors_of_ours():
        # Of a key with several values it is not known which one the next key is about.
        single = [word for word in given if not parse_override(word).is_sweep_override()]
        return hydra_adapter.completions(hydra_adapter.config_loader(next(iter(more), None)), [*single, begun])


def _paths(begun: str, directories: bool) -> list[str]:
    """The paths that begin so, directories with a slash behind them; hidden ones where a dot is typed."""
    place, slash, name = begun.rpartition("/")
    found = []
    try:
        for path in sorted(Path(f"{place}{slash}" or ".").expanduser().iterdir()):
            if path.name.startswith(name) and (name or not path.name.startswith(".")):
                if path.is_dir():
                    found.append(f"{place}{slash}{path.name}/")
                elif not directories:
                    found.append(f"{place}{slash}{path.name}")
    except OSError:
        return []
    return found


def _config_dir(words: Sequence[str]) -> list[str]:
    """The directory of the option --config-dir, if the line has it, so that its options complete too."""
    for index, word in enumerate(words):
        if word.startswith("--config-dir="):
            return [word.partition("=")[2]]
        if word in ("--config-dir", "-cd") and index + 1 < len(words):
            return [words[index + 1]]
    return []
