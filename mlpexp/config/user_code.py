"""Components that users wrote: which of a config's they are, and where in their files an error was raised."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from mlpexp.config.schema import GROUPS, LIST_GROUPS, Config
from mlpexp.errors import ConfigError, MlpexpError
from mlpexp.fields.convert import show
from mlpexp.fields.registry import Registry

E = TypeVar("E", bound=BaseException)

# What shows the traceback that stands behind one of our lines; see cli/main.py.
SHOW_ALL = "HYDRA_FULL_ERROR=1 shows the whole traceback."


def is_ours(component: object) -> bool:
    """Whether the class of a component is defined in mlpexp."""
    return package(type(component).__module__) == "mlpexp"


def users_components(config: Config) -> dict[str, Any]:
    """The components of a config that users wrote, by what chooses them: {"activation=snake": Snake(a=1.0)}."""
    parts = [(registry, group, getattr(config, group)) for group, registry in GROUPS.items()]
    parts += [(registry, group, part) for group, registry in LIST_GROUPS.items() for part in getattr(config, group)]
    return {f"{group}={_name(registry, part)}": part for registry, group, part in parts if not is_ours(part)}


def _name(registry: Registry[Any], part: Any) -> str:
    """The registered name; for a component that a program made without registering it, the name of its class."""
    return registry.name_of(part) if type(part) in registry.values() else type(part).__name__


def defined_at(thing: Any) -> str:
    """The file and line of a class or function, as `snake.py:12`."""
    try:
        return _shown(inspect.getsourcefile(thing) or "", inspect.getsourcelines(thing)[1])
    except (OSError, TypeError):
        # It was typed into an interpreter.
        return f"{thing.__module__}.{thing.__qualname__}"


def raised_at(error: BaseException, modules: Collection[str] = ()) -> str | None:
    """The line of users' code that an error came from, as `snake.py:12`; None where no such code was running.

    Users' code are the packages of the components that they have registered, and `modules`.
    """
    packages = {package(name) for name in modules} or _users_packages()
    found = None
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        if package(str(frame.f_globals.get("__name__"))) in packages:
            found = _shown(frame.f_code.co_filename, trace.tb_lineno)
        trace = trace.tb_next
    return found


def in_one_line(error: BaseException) -> str:
    """What an error says, with its kind: a message alone may say little, such as 'x' of a KeyError."""
    text = " ".join(str(error).split()).rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def explained(error: E, kind: type[MlpexpError]) -> E | MlpexpError:
    """An error raised by users' code as one of `kind`, in one line; other errors unchanged."""
    import torch

    # Ctrl-C is not an error of the component.
    if (
        not isinstance(error, Exception)
        or isinstance(error, MlpexpError | torch.OutOfMemoryError)
        or (place := raised_at(error)) is None
    ):
        return error
    told = kind(f"{place}: {in_one_line(error)}. {SHOW_ALL}")
    # With the traceback.
    told.__cause__ = error
    return told


@contextmanager
def refused() -> Iterator[None]:
    """Within, what users' code raises is a ConfigError: nothing has been written."""
    try:
        yield
    except Exception as error:
        if (told := explained(error, ConfigError)) is error:
            raise
        raise told from error


@contextmanager
def blamed_on(choice: str, component: Any) -> Iterator[None]:
    """Within, every error is reported as one of a component: ConfigError naming what chose it, file and line."""
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:
        place = raised_at(error) or defined_at(type(component))
        raise ConfigError(f"{choice}: {in_one_line(error)} ({place}). {SHOW_ALL}") from error


def package(module: str) -> str:
    """The package that a module is in, the outermost one."""
    return module.partition(".")[0]


def _users_packages() -> set[str]:
    registries = [*GROUPS.values(), *LIST_GROUPS.values()]
    return {package(component.__module__) for known in registries for component in known.values()} - {"mlpexp"}


def _shown(file: str, line: int) -> str:
    """Relative to the working directory, where it lies there."""
    path = Path(file)
    if path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    return f"{path}:{line}"


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
        except Exception as error:  # the module may raise anything
            reason = str(error).rstrip(".") if isinstance(error, ImportError) else in_one_line(error)
            place = raised_at(error, [name])
            at = f" ({place}). {SHOW_ALL}" if place else "."
            raise ConfigError(f"plugins=[{name}]: cannot be imported: {reason}{at}") from error
        finally:
            if added and here in sys.path:
                sys.path.remove(here)
