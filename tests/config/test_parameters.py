"""What `mlpexp list` shows of each key, against what composing gives, converting refuses, and the YAML files hold."""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from omegaconf import OmegaConf

from mlpexp.config.compose import Composer
from mlpexp.config.overrides import parse_override
from mlpexp.config.parameters import Parameter, describe, keys
from mlpexp.config.report import Claim
from mlpexp.config.schema import GROUPS, LIST_GROUPS, REGISTRIES, Config
from mlpexp.errors import ConfigError
from mlpexp.fields.convert import convert, fields_of, hints_of
from mlpexp.fields.ranges import Range

COMPOSER = Composer()


def value_of(config: Any, name: str) -> Any:
    """What a config has at a key such as `recommended.lr`."""
    for part in name.split("."):
        config = getattr(config, part)
    return config


def leaves(values: Any, within: str = "") -> Iterator[str]:
    """The keys of a composed mapping, those that hold others before these, in their order."""
    for name, value in values.items():
        yield within + name
        if isinstance(value, dict):
            yield from leaves(value, f"{within}{name}.")


def hint_of(cls: Any, name: str) -> Any:
    """The annotation of a field, or of one of a dataclass within: `recommended.lr`."""
    for part in name.split("."):
        hint = hints_of(cls)[part.removesuffix("[]")]
        cls = get_args(hint)[0] if part.endswith("[]") else hint
    return hint


def ranges(annotation: Any) -> Iterator[tuple[Any, Range]]:
    """The intervals in an annotation, each with the annotation of one number in it."""
    if get_origin(annotation) is Annotated:
        yield from ((annotation, limit) for limit in get_args(annotation)[1:] if isinstance(limit, Range))
    if get_origin(annotation) in (list, Union, types.UnionType):
        for inner in get_args(annotation):
            yield from ranges(inner)


def check(row: Parameter, hint: Any, composed: Any, dataset: str = "digits") -> None:
    """One row: its text, its range in the words of the refusal, and its default as it would be typed."""
    assert row.meaning.endswith("."), f"{row.name}: a text of a line or two stands under the field"
    if dataclasses.is_dataclass(hint):
        return
    assert row.allowed
    assert row.allowed.startswith("null, or") == (type(None) in get_args(hint))
    for number, limit in ranges(hint):
        for beyond in (limit.low - 1, limit.high + 1):
            if math.isfinite(beyond) and abs(beyond) < 2**53:
                with pytest.raises(ConfigError) as refused:
                    convert(int(beyond), number, row.name)
                words = str(refused.value).partition(": must be ")[2].removesuffix(".")
                assert words in row.allowed
    if row.default == "by the data":
        assert composed == convert(composed, hint, row.name)
        return
    if row.default == "required":
        with pytest.raises(ConfigError, match=f"{row.name}: is required"):
            COMPOSER.config([f"dataset={dataset}"])
        return
    typed, _, origin = row.default.partition(", ")
    assert origin in ("", f"recommended by dataset={dataset}", "from ${seed}")
    assert convert(parse_override(f"{row.name.replace('[]', '')}={typed}").value(), hint, row.name) == composed


@pytest.mark.parametrize("row", range(max(len(registry) for registry in REGISTRIES.values())))
def test_of_every_component(row: int) -> None:
    """One of each group at a time, as they are composed together."""
    chosen = {group: list(registry)[row % len(registry)] for group, registry in REGISTRIES.items()}
    choices = [f"{group}=[{name}]" if group in LIST_GROUPS else f"{group}={name}" for group, name in chosen.items()]
    raw = COMPOSER.raw(choices)
    plain: Any = OmegaConf.to_container(raw, resolve=False)
    # Without hidden layers, a model has no use for what the other groups add to them.
    model = choices.pop(list(chosen).index("model"))
    needed = ["dataset.path=my.csv"] if "path" in fields_of(REGISTRIES["dataset"][chosen["dataset"]]) else []
    alone = COMPOSER.config([model, f"dataset={chosen['dataset']}", *needed])
    config = dataclasses.replace(COMPOSER.config([*choices, *needed]), model=alone.model)
    for group, name in chosen.items():
        (described,) = describe(raw, group)
        assert (described.name, described.cls) == (name, REGISTRIES[group][name])
        node, component = plain[group], getattr(config, group)
        if group in LIST_GROUPS:
            node, (component,) = node[name], component
        assert [shown.name for shown in described.parameters] == [key for key in leaves(node) if key != "name"]
        for shown in described.parameters:
            check(shown, hint_of(described.cls, shown.name), value_of(component, shown.name), chosen["dataset"])


def test_of_every_key_of_a_run() -> None:
    rows = {row.name: row for row in keys(COMPOSER.raw([]))}
    raw: Any = OmegaConf.to_container(COMPOSER.raw([]), resolve=False)
    config = COMPOSER.config([])
    for name in leaves({key: value for key, value in raw.items() if key not in {*REGISTRIES, "hydra"}}):
        check(rows.pop(name), hint_of(Config, name), value_of(config, name))
    for name in hints_of(Claim):
        row = rows.pop(f"report.claims[].{name}")
        if name in ("says", "measure"):
            assert row.default == "required"
            assert row.meaning
        else:
            check(row, hint_of(Claim, name), Claim.__dataclass_fields__[name].default)
    # What is left chooses a component.
    assert rows.keys() == REGISTRIES.keys()
    for name, row in rows.items():
        assert row.meaning
        assert row.default == (raw[name]["name"] if name in GROUPS else "[]")


def test_a_reference_is_shown_with_what_it_gives(tmp_path: Any) -> None:
    (tmp_path / "activation").mkdir()
    own = "name: leaky_relu\nnegative_slope: {}\n"
    (tmp_path / "activation" / "one.yaml").write_text(own.format("${seed}"))
    (tmp_path / "activation" / "two.yaml").write_text(own.format("${oc.env:NOT_SET_ANYWHERE}"))
    composer = Composer(tmp_path)
    raws = [composer.raw([f"activation={name}"]) for name in ("one", "two")]
    shown = [describe(raw, "activation")[0].parameters[0].default for raw in raws]
    assert shown == ["0, from ${seed}", "${oc.env:NOT_SET_ANYWHERE}"]
