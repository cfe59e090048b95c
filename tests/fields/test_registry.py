"""Registries: what is registered, what is refused, and what is said of it."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass

import pytest

from mlpexp.config.schema import REGISTRIES
from mlpexp.errors import ConfigError, nearest, unknown
from mlpexp.fields.registry import Registry


@dataclass(frozen=True)
class Fruit:
    weight: float = 1.0


@dataclass(frozen=True)
class Apple(Fruit):
    pass


@dataclass(frozen=True)
class Pear(Fruit):
    pass


@pytest.fixture
def fruits() -> Registry[Fruit]:
    registry: Registry[Fruit] = Registry("fruit")
    registry.register("pear")(Pear)
    registry.register("apple")(Apple)
    return registry


def test_a_mapping_in_the_order_of_registration(fruits: Registry[Fruit]) -> None:
    assert list(fruits) == ["pear", "apple"]
    assert len(fruits) == 2
    assert fruits["apple"] is Apple
    assert "apple" in fruits
    assert "plum" not in fruits
    assert dict(fruits) == {"pear": Pear, "apple": Apple}


def test_the_decorator_gives_the_class_back() -> None:
    registry: Registry[Fruit] = Registry("fruit")
    assert registry.register("apple")(Apple) is Apple


def test_the_name_of_a_component(fruits: Registry[Fruit]) -> None:
    assert fruits.name_of(Pear(2.0)) == "pear"
    assert fruits.name_of(Apple()) == "apple"
    with pytest.raises(ConfigError, match=r"^fruit: Fruit is not registered\.$"):
        fruits.name_of(Fruit())


def test_a_name_is_registered_once(fruits: Registry[Fruit]) -> None:
    with pytest.raises(ValueError, match=r"^the fruit 'apple' is registered twice$"):
        fruits.register("apple")(Pear)
    assert fruits["apple"] is Apple


@pytest.mark.parametrize("base", [object, Apple])
def test_only_dataclasses_are_registered(fruits: Registry[Fruit], base: type) -> None:
    """Not what inherits from one either: its own fields would be none."""
    with pytest.raises(
        TypeError, match=r"^the fruit 'plum' is no frozen dataclass: put @dataclass\(frozen=True\) under it$"
    ):
        fruits.register("plum")(type("Plum", (base,), {"__annotations__": {"stone": float}, "stone": 1.0}))

    assert "plum" not in fruits


def test_a_class_without_its_methods_is_refused(fruits: Registry[Fruit]) -> None:
    with pytest.raises(TypeError, match=r"^the fruit 'plum' has no method peel and no method pit$"):

        @fruits.register("plum")
        @dataclass(frozen=True)
        class Plum(ABC):
            @abstractmethod
            def pit(self) -> None: ...

            @abstractmethod
            def peel(self) -> None: ...

    assert "plum" not in fruits


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("aple", "; did you mean 'apple'? Choose from: apple, pear."),
        ("pea", "; did you mean 'pear'? Choose from: apple, pear."),
        ("plum", ". Choose from: apple, pear."),
        ("", ". Choose from: apple, pear."),
    ],
)
def test_an_unknown_name_is_one_line(fruits: Registry[Fruit], name: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        fruits[name]
    assert str(caught.value) == f"fruit.name={name}: no such fruit{hint}"
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("word", "match"),
    [
        ("geluu", "gelu"),
        ("adam_w", "adamw"),
        ("drop", "dropout"),
        ("d", None),
        ("zzz", None),
    ],
)
def test_the_nearest_match(word: str, match: str | None) -> None:
    assert nearest(word, ["gelu", "adamw", "dropout", "sgd"]) == match


def test_a_message_without_choices() -> None:
    assert unknown("x=1: no such key", "x", []) == "x=1: no such key."


@pytest.mark.parametrize("group", [*REGISTRIES])
def test_components_are_frozen_dataclasses_with_a_docstring(group: str) -> None:
    registry = REGISTRIES[group]
    assert registry.kind == group
    for name, cls in registry.items():
        assert dataclasses.is_dataclass(cls), name
        assert vars(cls)["__dataclass_params__"].frozen, name
        # A dataclass without a docstring is given its signature for one.
        assert cls.__doc__, name
        assert not cls.__doc__.startswith(f"{cls.__name__}("), name
