"""Registries: from the names that a config may use to the components behind them.

A component is a frozen dataclass: its fields are its parameters, checked when a config is read, and its
methods build the torch objects. Importing a component imports no torch, so that configs are checked, listed
and completed in a fraction of a second.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

from mlpexp.errors import UnknownNameError, unknown

C = TypeVar("C")
D = TypeVar("D")


class Registry(Mapping[str, type[C]], Generic[C]):
    """The components of one kind by name, in the order in which they were registered.

    >>> activations = Registry[Activation]("activation")
    >>> @activations.register("relu")
    ... @dataclass(frozen=True)
    ... class ReLU(Activation): ...
    """

    def __init__(self, kind: str, synonyms: Mapping[str, str] | None = None) -> None:
        """`synonyms` gives for a name that other libraries use the one that is used here."""
        self.kind = kind
        self.synonyms = dict(synonyms or {})
        self._components: dict[str, type[C]] = {}

    def register(self, name: str) -> Callable[[type[D]], type[D]]:
        """Decorator that registers a dataclass under `name`; a name is registered once.

        ValueError for a name that is taken, TypeError for a class that is no frozen dataclass or lacks a method.
        """

        def add(component: type[D]) -> type[D]:
            if name in self._components:
                raise ValueError(f"the {self.kind} '{name}' is registered twice")
            # Not by dataclasses.is_dataclass: a class that inherits from a dataclass passes there, its fields unseen.
            if "__dataclass_fields__" not in vars(component) or component.__hash__ is None:
                raise TypeError(
                    f"the {self.kind} '{name}' is no frozen dataclass: put @dataclass(frozen=True) under it"
                )
            if inspect.isabstract(component):
                abstract = sorted(getattr(component, "__abstractmethods__", ()))
                lacking = " and ".join(f"no method {method}" for method in abstract)
                raise TypeError(f"the {self.kind} '{name}' has {lacking}")
            self._components[name] = component  # type: ignore[assignment]
            return component

        return add

    def __getitem__(self, name: str) -> type[C]:
        try:
            return self._components[name]
        except KeyError:
            raise UnknownNameError(
                unknown(f"{self.kind}.name={name}: no such {self.kind}", name, self._components, self.synonyms)
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._components)

    def __len__(self) -> int:
        return len(self._components)

    def __contains__(self, name: object) -> bool:
        return name in self._components

    def name_of(self, component: C) -> str:
        """The name under which the class of `component` is registered; UnknownNameError where it is not."""
        for name, known in self._components.items():
            if type(component) is known:
                return name
        raise UnknownNameError(f"{self.kind}: {type(component).__name__} is not registered.")
