"""What would have no effect is refused before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpexp.cli.main import call
from mlpexp.components.activation import activations
from mlpexp.components.model import models
from mlpexp.components.regularizer import regularizers
from mlpexp.config.compose import Composer, compose
from mlpexp.engine.member import build_module
from mlpexp.errors import ConfigError
from mlpexp.sweep.jobs import check_jobs, expand
from mlpexp.training.prepare import prepare

WITHOUT_HIDDEN = ["model=perceptron", "model.hidden=[]"]
LAYERS = [name for name, cls in regularizers.items() if cls().only_adds_layers]


def test_the_regularizers_that_only_add_layers() -> None:
    assert LAYERS == ["dropout", "alpha_dropout", "batchnorm", "layernorm"]


@pytest.mark.parametrize("model", WITHOUT_HIDDEN)
@pytest.mark.parametrize("name", regularizers)
def test_a_regularizer_changes_the_network_or_is_refused(model: str, name: str) -> None:
    given = ["dataset=moons", model, f"regularizer=[{name}]"]
    if name in LAYERS:
        with pytest.raises(ConfigError, match=rf"^regularizer=\[{name}\]: has no effect.* use regularizer=\[\]"):
            compose(given)
    else:
        compose(given)
    compose(["dataset=moons", f"regularizer=[{name}]"])


@pytest.mark.parametrize("name", models)
@pytest.mark.parametrize("activation", activations)
def test_models_say_whether_they_use_the_activation(name: str, activation: str) -> None:
    config = compose(["dataset=moons", f"model={name}"])
    prepared = prepare(config)
    module = build_module(config, prepared.data, prepared.loss)
    kind = type(config.activation.build())
    assert config.model.activates == any(isinstance(part, kind) for part in module.modules())
    if config.model.activates:
        compose(["dataset=moons", f"model={name}", f"activation={activation}"])
    else:
        with pytest.raises(ConfigError, match=f"^activation={activation}: has no effect"):
            compose(["dataset=moons", f"model={name}", f"activation={activation}"])


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ("model=perceptron activation=tanh", "activation=tanh: has no effect, since the model has no hidden layers"),
        ("model.hidden=[] activation=elu activation.alpha=2", "activation.alpha=2: has no effect, since model.hidden"),
        ("model=perceptron log.diagnostics=3", "log.diagnostics=3: has no effect"),
        ("model=perceptron regularizer=[l2,dropout,batchnorm]", "regularizer=[dropout,batchnorm]: has no effect"),
        ("optimizer=lbfgs batch_size=16", "batch_size=16: has no effect, since the optimizer takes all"),
        ("log.tensorboard=false log.histograms=3", "log.histograms=3: has no effect"),
        ("log.tensorboard=false log.confusion_every=3", "log.confusion_every=3: has no effect"),
        ("-m model=perceptron activation=relu,tanh", "activation=relu: has no effect"),
        ("-m model=perceptron seed=0,1 activation=tanh", "activation=tanh: has no effect"),
        ("-m model=perceptron,mlp regularizer=[],[layernorm]", "regularizer=[layernorm]: has no effect"),
        ("-m optimizer=lbfgs batch_size=16,32", "batch_size=16: has no effect"),
    ],
)
def test_it_is_said_in_a_line_and_nothing_is_written(
    given: str, line: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = sorted([*given.split(), "dataset=moons"], key=lambda word: word != "-m")
    assert call(["train", *words]) == 2
    said = capsys.readouterr().err.splitlines()
    assert any(text.startswith(f"mlpexp: {line}") for text in said), said
    assert not list(here.iterdir())


def test_what_some_jobs_use_may_be_given_to_all(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = check_jobs(expand(["dataset=xor", "model=perceptron,mlp", "activation=tanh"]), Composer())
    assert [job.config.model.activates for job in jobs] == [False, True]
    words = ["train", "-m", "dataset=xor", "model.hidden=[],[4]", "activation=relu,tanh", "--dry-run"]
    assert call(words) == 0
    shown = capsys.readouterr()
    assert "activation has no effect in 2 of 4 jobs, which have no hidden layers and repeat one another" in shown.err
    assert "activation: none, relu, tanh" in shown.out
