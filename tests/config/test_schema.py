"""conf/ against the dataclasses behind it, and what a whole config refuses."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from torch import nn

from mlpexp.components.activation import Activation, activations
from mlpexp.components.regularizer import L2, regularizers
from mlpexp.config.compose import Composer, compose
from mlpexp.config.locate import CONF, groups, options
from mlpexp.config.schema import GROUPS, LIST_GROUPS, REGISTRIES, Config, parse
from mlpexp.data.dataset import Recommended
from mlpexp.errors import ConfigError
from mlpexp.fields.convert import as_plain

EXPERIMENTS = [option.name for option in options("experiment")]


def load(group: str, name: str) -> dict[str, Any]:
    """What a file of conf/ says, as it stands."""
    plain: Any = OmegaConf.to_container(OmegaConf.load(CONF / group / f"{name}.yaml"), resolve=False)
    assert isinstance(plain, dict)
    if group in LIST_GROUPS:
        assert list(plain) == [name], "a component of a list stands under its own name"
        plain = plain[name]
        assert isinstance(plain, dict)
    return plain


# --- conf/ --------------------------------------------------------------------------------------------------


def test_every_group_is_known() -> None:
    assert set(groups()) == {*REGISTRIES, "experiment"}


@pytest.mark.parametrize("group", REGISTRIES)
def test_every_file_is_a_component(group: str) -> None:
    """Whether the two agree is for `mlpexp.testing.check`: see tests/test_every_component.py."""
    assert {path.stem for path in (CONF / group).glob("*.yaml")} == set(REGISTRIES[group])


@pytest.mark.parametrize("name", REGISTRIES["dataset"])
def test_a_dataset_recommends_only_what_is_not_usual(name: str) -> None:
    usual = as_plain(Recommended())
    recommended = load("dataset", name)["recommended"]
    assert all(value != usual[key] for key, value in recommended.items())


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_composes_and_has_a_comment(name: str) -> None:
    compose([f"experiment={name}"])
    assert all(option.comment for option in options("experiment"))


def test_the_main_config_holds_the_defaults_of_the_schema() -> None:
    raw: Any = OmegaConf.to_container(OmegaConf.load(CONF / "config.yaml"), resolve=False)
    settings = {field.name: field for field in dataclasses.fields(Config) if field.name not in REGISTRIES}
    assert set(settings) == set(raw) - {"defaults", "dataset", "hydra"}
    for name in set(settings) - {"epochs", "batch_size"}:
        field = settings[name]
        default: Any = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        assert raw[name] == as_plain(default), name
    assert raw["dataset"]["recommended"] == as_plain(Recommended())


@pytest.mark.parametrize(
    ("optimizer", "key"),
    [("adam", "lr"), ("muon", "lr"), ("momentum", "lr_momentum"), ("nesterov", "lr_momentum"), ("sgd", "lr_sgd")],
)
def test_each_optimizer_takes_the_learning_rate_that_suits_it(optimizer: str, key: str) -> None:
    config = compose(["dataset=xor", f"optimizer={optimizer}"])
    assert config.optimizer.lr == load("dataset", "xor")["recommended"][key]


def test_what_the_user_says_wins_over_the_recommendation() -> None:
    config = compose(["dataset=xor", "epochs=7", "batch_size=2", "optimizer.lr=0.5", "model.hidden=[3]"])
    assert (config.epochs, config.batch_size, config.optimizer.lr) == (7, 2, 0.5)
    assert config.model == REGISTRIES["model"]["mlp"](hidden=(3,))


# --- there and back -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        [
            "dataset=spirals",
            "regularizer=[batchnorm,dropout,l2,early_stopping,mixup]",
            "regularizer.dropout.p=0.25",
            "optimizer=adamw",
            "optimizer.betas=[0.8,0.9]",
            "scheduler=multistep",
            "scheduler.milestones=[2,5]",
            "activation=leaky_relu",
            "loss=cross_entropy",
            "device=cpu",
            "device.threads=2",
            "clip.norm=1",
            "precision=bf16",
            "data_dir=/somewhere",
            "seed=9007199254740992",
        ],
        ["dataset=table", "dataset.path=a b.csv", "model=perceptron", "optimizer=lbfgs"],
    ],
)
def test_a_config_goes_to_json_and_back(overrides: list[str]) -> None:
    config = compose(overrides)
    text = json.dumps(config.to_dict(), allow_nan=False)
    again = parse(json.loads(text))
    assert again == config
    assert hash(again) == hash(config)
    assert json.dumps(again.to_dict()) == text


def test_several_regularizers_keep_their_order() -> None:
    config = compose(["regularizer=[l2,batchnorm,dropout]", "regularizer.dropout.p=0.25"])
    assert [*map(regularizers.name_of, config.regularizer)] == ["l2", "batchnorm", "dropout"]
    assert config.regularizer[2] == REGISTRIES["regularizer"]["dropout"](p=0.25)
    assert list(config.to_dict()["regularizer"]["dropout"].items()) == [("name", "dropout"), ("p", 0.25)]


def test_a_regularizer_is_there_once() -> None:
    config = compose()
    with pytest.raises(ConfigError, match=r"^regularizer: holds L2 twice\.$"):
        dataclasses.replace(config, regularizer=(L2(0.1), L2(0.2)))


@dataclass(frozen=True)
class Piecewise(Activation):
    """A user's own, with fields that hold several values."""

    knots: list[int] = dataclasses.field(default_factory=lambda: [1, 2])
    names: dict[str, int] = dataclasses.field(default_factory=dict)
    heights: tuple[float, ...] = (1.0,)
    noted: list[int] = dataclasses.field(default_factory=list, hash=False)

    def build(self) -> nn.Module:
        return nn.ReLU()


def test_fields_of_a_users_component_that_cannot_be_hashed(
    plain: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(activations._components, "piecewise", Piecewise)
    with pytest.raises(ConfigError) as caught:
        parse({**plain, "activation": {"name": "piecewise", "heights": [1, 2], "names": {"a": 1}, "noted": [3]}})
    what = "which cannot be hashed; declare it as a tuple, such as tuple[int, ...], or with field(hash=False)."
    assert caught.value.lines == (
        f"activation.knots=[1,2]: is a list, {what}",
        f"activation.names={{a:1}}: is a dict, {what}",
    )


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        compose().epochs = 3  # type: ignore[misc]


# --- what is refused ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain() -> dict[str, Any]:
    return compose(["dataset=xor", "regularizer=[dropout]"]).to_dict()


@pytest.mark.parametrize("group", list(GROUPS))
def test_a_missing_group_is_required(plain: dict[str, Any], group: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{group}: is required\. Choose from: .*\.$"):
        parse({key: value for key, value in plain.items() if key != group})


@pytest.mark.parametrize("group", list(GROUPS))
@pytest.mark.parametrize("value", [None, "adam", ["adam"], {}, {"name": None}, {"name": 3}, {"name": ["adam"]}])
def test_a_group_names_one_component(plain: dict[str, Any], group: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        parse({**plain, group: value})
    given = f"{group}.name=" if isinstance(value, Mapping) else f"{group}="
    assert str(caught.value).startswith(given)
    assert f"must name one {group}: " in str(caught.value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("dropout", "regularizer=dropout: must be a list of names, such as [dropout,alpha_dropout]."),
        (["dropout"], "regularizer=[dropout]: must be a list of names, such as [dropout,alpha_dropout]."),
        ({"dropout": None}, "regularizer.dropout=null: must name one regularizer: "),
        ({"dropout": {"p": 0.5}}, "regularizer.dropout: is not in use; add regularizer=[dropout]."),
        ({"dropout": {"name": "dropout", "q": 1}}, "regularizer.dropout.q=1: no such key. Choose from: p."),
        ({"dropout": {"name": "l2", "p": 0.5}}, "regularizer.dropout.name=l2: must be the key that holds it, dropout."),
    ],
)
def test_wrong_regularizers(plain: dict[str, Any], value: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse({**plain, "regularizer": value})
    assert str(caught.value).startswith(message)


def test_no_regularizers_may_be_null(plain: dict[str, Any]) -> None:
    assert parse({**plain, "regularizer": None}).regularizer == ()


@pytest.mark.parametrize("left_out", ["epochs", "clip", "log", "regularizer", "plugins"])
def test_settings_left_out_have_their_defaults(plain: dict[str, Any], left_out: str) -> None:
    found = getattr(parse({key: value for key, value in plain.items() if key != left_out}), left_out)
    (field,) = (field for field in dataclasses.fields(Config) if field.name == left_out)
    assert found == (field.default if field.default_factory is dataclasses.MISSING else field.default_factory())


def test_a_config_file_of_ones_own_is_checked_too(tmp_path: Path) -> None:
    (tmp_path / "optimizer").mkdir()
    (tmp_path / "optimizer" / "mine.yaml").write_text("# mine\nname: adam\nlr: 0.1\nmomentun: 0.9\n")
    with pytest.raises(ConfigError, match=r"^optimizer\.momentun=0\.9: no such key"):
        compose(["optimizer=mine"], config_dir=tmp_path)


def test_hydra_keeps_its_own_node_out_of_the_config() -> None:
    raw = Composer().raw([])
    assert "hydra" in raw
    assert "hydra" not in compose().to_dict()
