"""From plain values to typed ones: what passes, what is refused, and in which words."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest

from mlpexp.errors import ConfigError
from mlpexp.fields.convert import Interpolated, build, convert, fields_of, show, wrong_keys
from mlpexp.fields.ranges import Count, Finite, Fraction, NonNegative, OpenFraction, Positive, Probability, Range

INF, NAN = math.inf, math.nan


@dataclass(frozen=True)
class Inner:
    rate: Positive = 0.1


@dataclass(frozen=True)
class Outer:
    """A required field, a nested dataclass, one that no config sets, and a check of its own."""

    size: Count
    inner: Inner = field(default_factory=Inner)
    sizes: list[Count] | None = None
    derived: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.size == 13:
            raise ConfigError("size=13: brings bad luck.")


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        (3, int, 3),
        (3.0, int, 3),
        (1e3, Count, 1000),
        (3, float, 3.0),
        (-0.5, float, -0.5),
        (True, bool, True),
        (False, bool, False),
        ("text", str, "text"),
        ("", str, ""),
        (None, int | None, None),
        (4, int | None, 4),
        (None, str | None, None),
        (None, Positive | None, None),
        ("tanh", Literal["none", "tanh"], "tanh"),
        (None, Literal["strong_wolfe"] | None, None),
        (Interpolated("3"), Literal[1, 3] | None, 3),
        (Interpolated("a"), Literal["a", "b"], "a"),
        ([1, 2.0], list[int], [1, 2]),
        ((1, 2), list[int], [1, 2]),
        ([], list[Count], []),
        ([[1], []], list[list[int]], [[1], []]),
        (None, list[Count] | None, None),
        ([1, 2.0], tuple[int, ...], (1, 2)),
        ([[1], []], tuple[tuple[int, ...], ...], ((1,), ())),
        ([1, 2], tuple[int, float], (1, 2.0)),
        (0, NonNegative, 0.0),
        (1, Probability, 1.0),
        (2**53, Count, 2**53),
        ({"rate": 1}, Inner, Inner(1.0)),
        ({}, Inner, Inner()),
    ],
)
def test_what_passes(value: Any, annotation: Any, expected: Any) -> None:
    found = convert(value, annotation, "key")
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "annotation", "message"),
    [
        # Types. A text or a truth value is no number, and a number is neither.
        ("3", int, "key=3: must be a whole number."),
        (2.5, int, "key=2.5: must be a whole number."),
        (True, int, "key=true: must be a whole number."),
        (None, int, "key=null: must be a whole number."),
        (INF, int, "key=inf: must be a whole number."),
        (NAN, int, "key=nan: must be a whole number."),
        ([3], int, "key=[3]: must be a whole number."),
        ("0.1", float, "key=0.1: must be a number."),
        (False, float, "key=false: must be a number."),
        (None, float, "key=null: must be a number."),
        ({}, float, "key={}: must be a number."),
        (10**400, float, f"key=1{'0' * 76}...: must be between -3.4e38 and 3.4e38, what 32 bits hold."),
        (1e39, float, "key=1e+39: must be between -3.4e38 and 3.4e38, what 32 bits hold."),
        (1, bool, "key=1: must be true or false."),
        ("true", bool, "key=true: must be true or false."),
        (None, bool, "key=null: must be true or false."),
        (5, str, "key=5: must be a text."),
        (True, str, "key=true: must be a text."),
        ("x", int | None, "key=x: must be a whole number."),
        # Choices.
        (
            "tan",
            Literal["none", "tanh"],
            "key=tan: not allowed; did you mean 'tanh'? Choose from: none, tanh.",
        ),
        (None, Literal["none", "tanh"], "key=null: not allowed. Choose from: none, tanh."),
        (["tanh"], Literal["none", "tanh"], "key=[tanh]: not allowed; did you mean 'tanh'? Choose from: none, tanh."),
        ({}, Literal["none", "tanh"], "key={}: not allowed. Choose from: none, tanh."),
        # Lists.
        (8, list[int], "key=8: must be a list, such as [8,8]."),
        ("8,8", list[int], "key=8,8: must be a list, such as [8,8]."),
        (None, list[int], "key=null: must be a list, such as [8,8]."),
        ({"a": 1}, list[int], "key={a:1}: must be a list, such as [8,8]."),
        (8, tuple[int, ...], "key=8: must be a list, such as [8,8]."),
        ([1], tuple[int, int], "key=[1]: must be a list of 2 values."),
        ([1, "x"], list[int], "key[1]=x: must be a whole number."),
        ([1, 0], list[Count] | None, "key[1]=0: must be at least 1."),
        # Ranges, their bounds, infinity and not-a-number.
        (0, Positive, "key=0: must be greater than 0."),
        (-1e-9, NonNegative, "key=-1e-09: must be at least 0."),
        (1.5, Probability, "key=1.5: must be at least 0 and at most 1."),
        (1, Fraction, "key=1: must be at least 0 and less than 1."),
        (0, OpenFraction, "key=0: must be greater than 0 and less than 1."),
        (0, Count, "key=0: must be at least 1."),
        (2**53 + 1, Count, "key=9007199254740993: must be at least 1 and at most 9007199254740992."),
        (INF, Positive, "key=inf: must be a finite number greater than 0."),
        (-INF, Positive, "key=-inf: must be a finite number greater than 0."),
        (NAN, Positive, "key=nan: must be a finite number greater than 0."),
        (NAN, Probability, "key=nan: must be a finite number at least 0 and at most 1."),
        (INF, Finite, "key=inf: must be a finite number."),
        (NAN, Finite, "key=nan: must be a finite number."),
        (True, Positive, "key=true: must be a number."),
        (True, Count, "key=true: must be a whole number."),
        (True, Positive | None, "key=true: must be a number."),
        (21, Annotated[int, Range(low=1, high=20)], "key=21: must be at least 1 and at most 20."),
        # Nested keys.
        (3, Inner, "key=3: must hold keys of its own: rate."),
        (None, Inner, "key=null: must hold keys of its own: rate."),
        ({"rate": 0}, Inner, "key.rate=0: must be greater than 0."),
        (
            {"rat": 1},
            Inner,
            "key.rat=1: no such key; did you mean 'rate'? Choose from: rate.",
        ),
    ],
)
def test_what_is_refused(value: Any, annotation: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        convert(value, annotation, "key")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        ([8, None, [True]], "[8,null,[true]]"),
        ((1, 2), "[1,2]"),
        (1e-08, "1e-08"),
        ("x" * 80, "x" * 80),
        ("x" * 81, "x" * 77 + "..."),
    ],
)
def test_values_are_shown_as_a_user_types_them(value: Any, text: str) -> None:
    assert show(value) == text


def test_a_dataclass_from_a_mapping() -> None:
    assert build(Outer, {"size": 3, "inner": {"rate": 2}, "sizes": [4]}, "key") == Outer(3, Inner(2.0), [4])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "key.size: is required; give it a value, key.size=VALUE."),
        ({"size": "???"}, "key.size: is required; give it a value, key.size=VALUE."),
        ({"size": 1, "inner": {"rate": "???"}}, "key.inner.rate: is required; give it a value, key.inner.rate=VALUE."),
        ({"size": 13}, "key.size=13: brings bad luck."),
        ({"size": 1, "derived": 2}, "key.derived=2: no such key. Choose from: inner, size, sizes."),
        ({"size": 1, 5: 2}, "key.5=2: no such key. Choose from: inner, size, sizes."),
        ({"size": 1, "siez": 2}, "key.siez=2: no such key; did you mean 'size'? Choose from: inner, size, sizes."),
        ({"size": 1, "inner": {"rate": -1}}, "key.inner.rate=-1: must be greater than 0."),
        ({"size": 1, "inner": {"size": 1}}, "key.inner.size=1: no such key. Choose from: rate."),
        ({"size": 1, "sizes": [1, True]}, "key.sizes[1]=true: must be a whole number."),
    ],
)
def test_what_a_dataclass_refuses(values: dict[Any, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(Outer, values, "key")
    assert str(caught.value) == message


def test_without_a_key_the_field_is_named_alone() -> None:
    with pytest.raises(ConfigError, match=r"^size=0: must be"):
        build(Outer, {"size": 0}, "")
    with pytest.raises(ConfigError, match=r"^size=13: brings"):
        build(Outer, {"size": 13}, "")


def test_fields_and_keys() -> None:
    assert fields_of(Outer) == ["size", "inner", "sizes"]
    assert wrong_keys({"size": 1}, fields_of(Outer), "key") == []
    (line,) = wrong_keys({"sized": 1}, fields_of(Outer), "")
    assert line.startswith("sized=1: no such key; did you mean 'size'?")
