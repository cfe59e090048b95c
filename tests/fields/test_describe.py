"""What fields say of themselves: the texts under them, and their annotations in words."""

from __future__ import annotations

from dataclasses import dataclass, field, make_dataclass
from typing import Annotated, Any, Literal

import pytest

from mlpexp.fields.describe import allowed, meanings
from mlpexp.fields.ranges import Count, Finite, Fraction, PathName, Positive, Range


@dataclass(frozen=True)
class Base:
    """No field's text."""

    rate: Positive = 0.1
    """What the base
    says of it."""
    size: Count = 1
    """Of the base."""
    bare: int = 0

    def method(self) -> None:
        """Not a field's text either."""


@dataclass(frozen=True)
class Derived(Base):
    rate: Positive = 0.2
    size: Count = 2
    """Its own."""
    more: list[int] = field(default_factory=lambda: [1])
    """More."""


def test_texts_stand_under_their_fields_and_are_inherited() -> None:
    assert meanings(Base) == {"rate": "What the base says of it.", "size": "Of the base."}
    assert meanings(Derived) == {"rate": "What the base says of it.", "size": "Its own.", "more": "More."}


def test_a_class_without_source_has_no_texts() -> None:
    assert meanings(make_dataclass("Made", [("a", int)])) == {}


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (bool, "true or false"),
        (str, "a text"),
        (PathName, "a path"),
        (float, "a number"),
        (Finite, "a number"),
        (Positive, "a number greater than 0"),
        (Fraction, "a number at least 0 and less than 1"),
        (Count, "a whole number at least 1"),
        (Annotated[int, Range(low=2, high=20)], "a whole number at least 2 and at most 20"),
        (Positive | None, "null, or a number greater than 0"),
        (PathName | None, "null, or a path"),
        (list[Count] | None, "null, or a list, each a whole number at least 1"),
        (Literal["none", "tanh"], "one of none, tanh"),
        (Literal["strong_wolfe"] | None, "null, or strong_wolfe"),
        (list[Literal["a", "b"]], "a list, each one of a, b"),
        (list[Base], "a list, each a mapping"),
        (dict[str, int], "a mapping, each a whole number"),
    ],
)
def test_annotations_in_words(annotation: Any, words: str) -> None:
    assert allowed(annotation) == words
