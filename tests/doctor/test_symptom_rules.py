"""The rules on histories written by hand, on both sides of their thresholds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from mlpexp.config.compose import compose
from mlpexp.doctor import remedies
from mlpexp.doctor.case import Case, Layer, Time
from mlpexp.doctor.examine import examine
from mlpexp.doctor.fit import overfitting, smoothed, underfitting
from mlpexp.doctor.hardware import bound_elsewhere, unused_gpu
from mlpexp.doctor.layers import (
    dead_units,
    early,
    exploding_gradients,
    saturated_units,
    symmetric_units,
    vanishing_gradients,
)
from mlpexp.doctor.learning import diverged, rate_too_large, rate_too_small, relative_path_length, stuck_accuracy

Make = Callable[..., Case]
HIDDEN, OUTPUT = Layer("hidden1", 100, 0.1, True, 10), Layer("output", 100, 0.1, False)


def falling(first: float, last: float, n: int = 20) -> list[float]:
    return list(np.geomspace(first, last, n))


def test_diverged_tells_the_last_finite_loss_and_the_rate(case: Make) -> None:
    loss = [0.7, 12.5, math.nan]
    ill = case(
        "optimizer=sgd", "optimizer.lr=7", loss=loss, failure="diverged: the training loss was nan", diverged=True
    )
    sign = diverged(ill)
    assert sign is not None
    assert sign.remedies[:2] == ["optimizer.lr=0.1", "clip.norm=1"]
    assert diverged(case(loss=loss[:2])) is None
    assert diverged(case(loss=loss[:2], failure="No space left on device")) is None


def test_travel_is_the_sum_of_the_steps_over_the_weights(case: Make) -> None:
    layers = [Layer("a", 3, 2.0, True), Layer("b", 1, 2.0, False)]
    known = {"loss": [1.0] * 5, "layers": layers, "lr": 0.01, "steps_per_epoch": 7}
    # 5 epochs of 7 steps of 0.01 in every element, beside elements of 2.
    assert relative_path_length(case("optimizer=adam", **known)) == pytest.approx(5 * 7 * 0.01 / 2)
    # Gradients of norm 1 beside weights of norm √(4·2²) = 4.
    assert relative_path_length(case("optimizer=sgd", **known)) == pytest.approx(5 * 7 * 0.01 / 4)
    assert relative_path_length(case("optimizer=momentum", **known)) == pytest.approx(5 * 7 * 0.01 / 4 / (1 - 0.9))
    assert relative_path_length(case("optimizer=sgd", "clip.norm=0.5", **known)) == pytest.approx(
        5 * 7 * 0.01 * 0.5 / 4
    )
    assert relative_path_length(case("optimizer=lbfgs", **known)) == math.inf
    assert relative_path_length(case(loss=[1.0], layers=[Layer("a", 3, math.inf, True)])) == math.inf


@pytest.mark.parametrize(
    ("end", "lr", "score", "found"),
    [
        (0.95, 0.001, 0.5, True),
        (0.81, 0.001, 0.5, True),
        (0.79, 0.001, 0.5, False),  # it has fallen
        (0.95, 0.002, 0.5, True),  # travels of 0.4 and 0.6
        (0.95, 0.003, 0.5, False),
        (0.95, 0.001, 0.91, False),  # there was not more to learn
        (1.02, 0.001, 0.5, True),  # noise of dropout, say
    ],
)
def test_rate_too_small(case: Make, end: float, lr: float, score: float, found: bool) -> None:
    ill = case(loss=[1.0, *[end] * 19], score=score, lr=lr, layers=[HIDDEN, OUTPUT])
    assert (rate_too_small(ill) is not None) == found


def test_the_remedy_of_a_small_rate_is_the_datasets_or_ten_times_the_own(case: Make) -> None:
    def remedy(*overrides: str) -> object:
        sign = rate_too_small(case(*overrides, loss=[1.0] * 5, score=0.5, lr=1e-6, layers=[HIDDEN, OUTPUT]))
        assert sign is not None
        return sign.remedies[0]

    assert remedy("optimizer.lr=1e-6") == "optimizer.lr=0.002"
    assert remedy("optimizer=sgd", "optimizer.lr=1e-6") == "optimizer.lr=0.1"
    assert remedy("optimizer=nesterov", "optimizer.lr=1e-6") == "optimizer.lr=0.01"
    assert remedy("optimizer.lr=0.001") == "optimizer.lr=0.01"


@pytest.mark.parametrize(
    ("level", "found"),
    [(0.693 * 1.011, True), (0.693 * 1.009, False), (0.693, False)],
)
def test_worse_than_a_constant_answer(case: Make, level: float, found: bool) -> None:
    assert (rate_too_large(case(loss=[level] * 20, score=0.5)) is not None) == found


def test_a_high_loss_that_still_falls_is_on_its_way_unless_the_rate_is_far_too_large(case: Make) -> None:
    loss = falling(100, 1)
    assert rate_too_large(case(loss=loss, score=0.5)) is None
    far = rate_too_large(case("optimizer.lr=1", loss=loss, score=0.5))
    assert far is not None
    assert far.remedies[0] == "optimizer.lr=0.002"


@pytest.mark.parametrize(("end", "found"), [(0.41, True), (0.39, False)])
def test_a_loss_that_collapses(case: Make, end: float, found: bool) -> None:
    loss = [0.6, 0.2, *[end] * 18]
    assert (rate_too_large(case(loss=loss, score=0.5)) is not None) == found
    assert rate_too_large(case(loss=loss, score=0.95)) is None


@pytest.mark.parametrize(("end", "found"), [(0.37, True), (0.35, False)])
def test_a_loss_that_ends_above_its_first_epoch(case: Make, end: float, found: bool) -> None:
    assert (rate_too_large(case(loss=[0.3, *[end] * 19], score=0.5)) is not None) == found


@pytest.mark.parametrize(("size", "found"), [(0.06, True), (0.04, False)])
def test_a_loss_that_jumps(case: Make, size: float, found: bool) -> None:
    loss = [0.5 * (1 + size * (-1) ** epoch) for epoch in range(20)]
    sign = rate_too_large(case(loss=loss, score=0.5))
    assert (sign is not None) == found
    if sign is not None:
        assert sign.remedies == ["optimizer.lr=0.00067", "scheduler=cosine"]
    falls = [value * 0.9**epoch for epoch, value in enumerate(loss)]
    assert rate_too_large(case(loss=falls, score=0.5)) is None


def test_an_init_without_regard_to_sizes_is_blamed_before_the_rate(case: Make) -> None:
    assert rate_too_large(case("init=normal", loss=[5.0] * 20, score=0.5)) is None
    assert rate_too_large(case("init=normal", "optimizer.lr=1", loss=[5.0] * 20, score=0.5)) is not None


def test_stuck_at_the_most_frequent_class(case: Make) -> None:
    known = {"loss": falling(0.7, 0.65), "majority": 0.6, "layers": [HIDDEN, OUTPUT]}
    assert stuck_accuracy(case(score=[0.5] * 5 + [0.605] * 15, val_score=0.6, **known)) is not None
    assert stuck_accuracy(case(score=0.605, val_score=[0.6] * 19 + [0.65], **known)) is None
    # Three standard errors of 1000 rows are 0.046.
    assert stuck_accuracy(case(score=[*[0.64] * 19, 0.641], val_score=0.6, **known)) is not None
    assert stuck_accuracy(case(score=[*[0.66] * 19, 0.661], val_score=0.6, **known)) is None
    # What is linear can do no better.
    assert stuck_accuracy(case("activation=identity", score=0.6, **known)) is None
    assert stuck_accuracy(case("model=perceptron", score=0.6, **{**known, "layers": [OUTPUT]})) is None


SHARES = [0.5, 0.8, 0.95, 0.999]


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("overrides", [[], ["model=perceptron"]], ids=["mlp", "linear"])
def test_one_answer_for_all_rows_is_found_whatever_its_share(case: Make, share: float, overrides: list[str]) -> None:
    entropy = -share * math.log(share) - (1 - share) * math.log(1 - share)
    layers = [OUTPUT] if overrides else [HIDDEN, OUTPUT]
    known = {"layers": layers, "constant_loss": entropy, "majority": share, "val_majority": share}
    # From the loss of an undecided network down to that of the classes' shares.
    loss = [entropy + (0.7 - entropy) * 0.7**epoch for epoch in range(20)]
    (found,) = examine(case(*overrides, loss=loss, score=share, lr=0.01, **known))
    assert found["symptom"] == ("underfitting" if overrides else "stuck_accuracy")
    assert "always the same class" in found["evidence"]
    # Half of the others are found: that is something.
    if share >= 0.8:
        assert examine(case(*overrides, loss=loss, score=share + (1 - share) / 2, lr=0.01, **known)) == []


def test_one_answer_is_measured_on_each_split_by_its_own_share(case: Make) -> None:
    known = {"loss": [0.2] * 20, "majority": 0.95, "val_majority": 0.88}
    # The gap is that of the splits, not of what was learned.
    assert underfitting(case(score=0.95, val_score=0.88, **known)) is not None
    assert underfitting(case(score=0.96, val_score=0.92, **known)) is None
    # Where that answer is always right, a split tells nothing.
    assert underfitting(case(score=1.0, val_score=1.0, loss=[0.0] * 20, majority=1.0, val_majority=1.0)) is None
    assert underfitting(case(score=0.99, val_score=1.0, **{**known, "val_majority": 1.0})) is None


def test_what_is_learned_by_heart_is_overfitting(case: Make) -> None:
    known = {"loss": falling(0.7, 0.01), "val_loss": [0.2] * 20, "majority": 0.9, "val_majority": 0.9, "n_val": 1000}
    assert overfitting(case(score=1.0, val_score=0.9, **known)) is not None
    assert overfitting(case(score=1.0, val_score=0.91, **known)) is None
    # Of twenty rows, nine tenths are off by 0.067, one standard error.
    assert overfitting(case(score=1.0, val_score=0.9, **{**known, "n_val": 20})) is None


def test_regression_without_r2_on_a_split(case: Make) -> None:
    nan = [math.nan] * 20

    def of(train: Sequence[float], val: Sequence[float]) -> Case:
        made = case(loss=[0.5] * 20)
        history = {**made.history, "r2/train": list(train), "r2/val": list(val)}
        return dataclasses.replace(made, score="r2", history=history, majority=0.0, val_majority=0.0)

    assert not of([0.9] * 20, nan).low_score
    assert of([0.3] * 20, nan).low_score
    assert not of(nan, nan).low_score
    # The mean has an R² of 0 on the training rows; far from theirs it has less on others.
    sign = underfitting(of([0.01] * 20, [-5.0] * 20))
    assert sign is not None
    assert "R², as means over the last 4 epochs, is 0.01 on the training batches (always the mean: 0)" in sign.evidence
    alone = underfitting(of([0.01] * 20, nan))
    assert alone is not None
    assert "nan" not in alone.evidence


def test_a_network_that_comes_down_to_a_constant_answer_is_not_too_fast(case: Make) -> None:
    # Imbalanced classes: an undecided network begins far above.
    slow = [0.2 + 0.4 * 0.97**epoch for epoch in range(20)]
    rng = np.random.default_rng(0)
    known = {"score": 0.95, "majority": 0.95, "val_majority": 0.95, "constant_loss": 0.2}
    assert rate_too_large(case(loss=slow, **known)) is None
    assert rate_too_large(case(loss=[0.3 + 0.02 * value for value in rng.normal(size=20)], **known)) is not None


def test_stuck_at_one_value(case: Make) -> None:
    known = {"loss": falling(0.7, 0.35), "layers": [HIDDEN, OUTPUT]}
    assert stuck_accuracy(case(score=0.75, **known)) is not None
    assert stuck_accuracy(case(score=0.95, **known)) is None
    assert stuck_accuracy(case(score=[*[0.75] * 19, 0.76], **known)) is None
    assert stuck_accuracy(case(score=0.75, loss=falling(0.7, 0.35, 17), layers=[HIDDEN])) is None  # too short


# Rises of 200 validation rows: 40 % and √(2/200) = 10 %.
@pytest.mark.parametrize(("end", "found"), [(0.152, True), (0.148, False)])
def test_overfitting(case: Make, end: float, found: bool) -> None:
    val = [*falling(0.7, 0.1, 20), *[0.1] * 10, *falling(0.1, end, 20), *[end] * 20]
    sign = overfitting(case("regularizer=[l2]", loss=falling(0.7, 0.01, 70), val_loss=val, n_val=200))
    assert (sign is not None) == found
    if sign is not None:
        assert "0.1 at epoch 22 to 0.152 at epoch 70 (+52 %)" in sign.evidence
        assert sign.remedies == ["regularizer=[l2,early_stopping]", "regularizer=[l2,dropout]", None]


def test_what_is_no_overfitting(case: Make) -> None:
    val = [*falling(0.7, 0.1, 35), *falling(0.1, 0.3, 35)]
    train = falling(0.7, 0.01, 70)
    assert overfitting(case(loss=train, val_loss=val)) is not None
    # Training loss rises as well: something else is wrong.
    assert overfitting(case(loss=val, val_loss=val)) is None
    # Truth tables have nothing unseen.
    assert overfitting(case(loss=train, val_loss=val, val_is_train=True)) is None
    # By chance: of seven rows the mean is off by half.
    assert overfitting(case(loss=train, val_loss=[value if value < 0.19 else 0.19 for value in val], n_val=7)) is None
    assert overfitting(case(loss=train, val_loss=[value if value < 0.2 else 0.2 for value in val], n_val=7)) is not None


def test_a_wobble_is_no_rise(case: Make) -> None:
    rng = np.random.default_rng(0)
    wobble = [*(0.1 * np.exp(rng.normal(size=60)))]
    assert overfitting(case(loss=falling(0.7, 0.01, 60), val_loss=wobble, n_val=100_000)) is None


def test_early_stopping_is_not_advised_to_who_has_it(case: Make) -> None:
    val = [*falling(0.7, 0.1, 35), *falling(0.1, 0.3, 35)]
    sign = overfitting(case("regularizer=[early_stopping]", loss=falling(0.7, 0.01, 70), val_loss=val))
    assert sign is not None
    assert sign.remedies[0] is None
    assert sign.remedies[1] == "regularizer=[early_stopping,dropout]"


def test_smoothing_is_a_mean_of_five_epochs() -> None:
    values = np.array([0.0, 10, 20, 30, 40, 50])
    assert smoothed(values).tolist() == [10, 15, 20, 30, 35, 40]


def test_underfitting_that_takes_time_and_that_which_takes_units(case: Make) -> None:
    layers = [HIDDEN, OUTPUT]
    # Over the last fifth, the last four epochs, by 6 % and by 3 %.
    slow = underfitting(case(loss=falling(1, 0.94 ** (19 / 3)), score=0.8, layers=layers))
    flat = underfitting(case(loss=falling(1, 0.97 ** (19 / 3)), score=0.8, layers=layers))
    assert slow is not None
    assert flat is not None
    assert slow.remedies == ["epochs=60", "model.hidden=[128,128]"]
    assert [remedy for remedy in flat.remedies if remedy] == ["model.hidden=[128,128]"]
    assert underfitting(case(loss=falling(1, 0.5), score=0.91, layers=layers)) is None
    # Training alone says little under dropout.
    assert underfitting(case(loss=falling(1, 0.5), score=0.5, val_score=0.91, layers=layers)) is None


@pytest.mark.parametrize(
    ("train", "val", "found"), [(0.89, 0.85, True), (0.89, 0.83, False), (0.6, 0.42, True), (0.6, 0.38, False)]
)
def test_a_gap_is_no_underfitting(case: Make, train: float, val: float, found: bool) -> None:
    assert (underfitting(case(loss=[0.5] * 20, score=train, val_score=val)) is not None) == found


def test_what_underfits_by_its_regularizers_is_given_less_of_them(case: Make) -> None:
    strong = ["regularizer=[dropout,l2]", "regularizer.l2.strength=0.1", "regularizer.dropout.p=0.8"]
    sign = underfitting(case(*strong, loss=[0.5] * 20, score=0.8))
    assert sign is not None
    assert sign.remedies == [
        "regularizer.l2.strength=0.001", "regularizer.dropout.p=0.4", "model.hidden=[128,128]",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("share", "score", "found"), [(0.91, 1.0, True), (0.89, 1.0, False), (0.51, 0.8, True), (0.49, 0.8, False)]
)
def test_dead_units(case: Make, share: float, score: float, found: bool) -> None:
    nan = math.nan
    columns = {"dead_units/activation1": [0.1, nan, 0.3, nan], "dead_units/activation2": [0.2, nan, share, nan]}
    sign = dead_units(case(loss=[0.5] * 4, score=score, more=columns))
    assert (sign is not None) == found
    if sign is not None:
        assert sign.remedies[1:] == ["activation=leaky_relu", "optimizer.lr=0.00067"]
    assert dead_units(case(loss=[0.5] * 4, score=score)) is None


def test_units_that_a_large_rate_has_killed_want_a_smaller_one_first(case: Make) -> None:
    columns = {"dead_units/activation1": [1.0]}
    fast = dead_units(case("optimizer.lr=0.1", loss=[0.5], score=0.5, more=columns))
    assert fast is not None
    assert fast.remedies == ["optimizer.lr=0.002", "activation=leaky_relu"]


@pytest.mark.parametrize(
    ("first", "last", "score", "found"),
    [
        (0.51, 0.51, 1.0, True),
        (0.49, 0.9, 1.0, False),
        (0.9, 0.49, 1.0, False),
        (0, 0.81, 0.8, True),
        (0, 0.79, 0.8, False),
    ],
)
def test_saturated_units(case: Make, first: float, last: float, score: float, found: bool) -> None:
    columns = {"saturated/activation1": [0.0, 0.0], "saturated/activation2": [first, last]}
    sign = saturated_units(case("activation=tanh", loss=[0.5] * 2, score=score, more=columns))
    assert (sign is not None) == found


def test_symmetric_units_blame_the_init_or_a_penalty(case: Make) -> None:
    same = [Layer("hidden1", 100, 0.1, True, 10, symmetric=True), OUTPUT]
    assert symmetric_units(case(layers=[HIDDEN, OUTPUT])) is None

    def remedy(*overrides: str) -> object:
        sign = symmetric_units(case(*overrides, layers=same))
        assert sign is not None
        return sign.remedies[0]

    assert remedy("init=zeros") == "init=kaiming_uniform"
    assert remedy("init=zeros", "activation=tanh") == "init=xavier_uniform"
    strong = ["regularizer=[l1]", "regularizer.l1.strength=1"]
    assert remedy(*strong) == "regularizer.l1.strength=0.01"
    assert remedy("optimizer.weight_decay=10") == "optimizer.weight_decay=0.1"


def gradients(*norms: float) -> dict[str, object]:
    """Three hidden layers and the output, each of 100 parameters, so that root mean squares are a tenth of norms."""
    names = ["hidden1", "hidden2", "hidden3", "output"]
    layers = [Layer(name, 100, 0.1, name != "output", 10) for name in names]
    columns = {f"grad_norm/{name}": [norm] * 3 for name, norm in zip(names, norms, strict=True)}
    return {"loss": [1.0] * 3, "layers": layers, "more": columns}


def test_the_gradient_by_layer_is_that_of_the_first_tenth(case: Make) -> None:
    layers = [Layer("hidden1", 400, 0.1, True), OUTPUT]
    columns = {"grad_norm/hidden1": [8.0, 2, 4, *[9] * 27], "grad_norm/output": [1.0] * 30}
    assert early(case(loss=[1.0] * 30, layers=layers, more=columns)) == {"hidden1": 4 / 20, "output": 1 / 10}


@pytest.mark.parametrize(("norm", "found"), [(0.00099, True), (0.0011, False)])
def test_vanishing_gradients(case: Make, norm: float, found: bool) -> None:
    sign = vanishing_gradients(case("activation=sigmoid", **gradients(1.0, norm, 1.0, 1.0)))
    assert (sign is not None) == found
    if sign is not None:
        assert sign.remedies[:3] == ["activation=relu", "regularizer=[batchnorm]", "init=xavier_uniform"]


def test_gradients_that_are_nothing_in_dead_units_have_not_vanished_on_the_way(case: Make) -> None:
    assert vanishing_gradients(case("optimizer.lr=1", **gradients(0, 0, 0, 1.0))) is None
    assert vanishing_gradients(case(**gradients(0, 0, 0, 1.0))) is not None
    assert vanishing_gradients(case(**gradients(0, 0, 0, 0))) is None


@pytest.mark.parametrize(("total", "first", "found"), [(101, 1, True), (99, 1, False), (1, 101, True), (1, 99, False)])
def test_exploding_gradients(case: Make, total: float, first: float, found: bool) -> None:
    known = gradients(first, 1.0, 1.0, 1.0)
    known["more"]["grad_norm"] = [1.0, total, 1.0]  # type: ignore[index]
    sign = exploding_gradients(case("init=normal", **known))
    assert (sign is not None) == found
    if sign is not None:
        assert sign.remedies[:2] == ["init=kaiming_uniform", "clip.norm=1"]


def test_a_gpu_is_missed_by_long_runs_of_large_networks_only(case: Make) -> None:
    def found(gpu: str | None, training: float, multiplications: int) -> bool:
        time = Time({"training": training})
        return unused_gpu(case(idle_gpu=gpu, time=time, multiplications=multiplications)) is not None

    assert found("cuda", 10.0, 10_000_000)
    assert not found(None, 10.0, 10_000_000)
    assert not found("cuda", 9.9, 10_000_000)
    assert not found("cuda", 10.0, 9_999_999)


@pytest.mark.parametrize(
    ("overrides", "seconds", "remedy"),
    [
        ([], {"training": 14.0, "figures": 17.0}, "log.figures=false"),
        ([], {"training": 14.0, "figures": 15.0}, None),  # less than half a minute
        ([], {"training": 16.0, "figures": 15.0}, None),  # less than half of it
        ([], {"training": 5.0, "checkpoints": 30.0}, "checkpoint.every_seconds=100"),
        (["log.diagnostics=1000"], {"training": 5.0, "diagnostics": 30.0}, "log.diagnostics=100"),
        (["log.confusion_every=1"], {"training": 5.0, "writing": 30.0}, "log.confusion_every=0"),
        (["log.histograms=100"], {"training": 5.0, "writing": 30.0}, "log.histograms=0"),
        ([], {"training": 5.0, "writing": 30.0}, "log.tensorboard=false"),
        (["dataset.val_fraction=0.7"], {"training": 5.0, "validation": 30.0}, "dataset.val_fraction=0.1"),
    ],
)
def test_what_a_run_waits_for(case: Make, overrides: list[str], seconds: dict[str, float], remedy: str | None) -> None:
    sign = bound_elsewhere(case(*overrides, time=Time(seconds, members=2)))
    assert (next(filter(None, sign.remedies)) if sign else None) == remedy


def test_a_healthy_history_is_healthy(case: Make) -> None:
    assert examine(case(loss=falling(2.3, 0.01), val_loss=falling(2.2, 0.1), layers=[HIDDEN, OUTPUT])) == []


def test_clipping_is_no_remedy_where_it_is_refused() -> None:
    assert remedies.clip(compose(["dataset=moons", "optimizer=sgd"])) == "clip.norm=1"
    assert remedies.clip(compose(["dataset=moons", "optimizer=lbfgs"])) is None
