"""The examination: every symptom looked for, causes before what they explain."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from mlpexp.doctor.case import Case, Symptom
from mlpexp.doctor.finding import Finding
from mlpexp.doctor.fit import overfitting, underfitting
from mlpexp.doctor.hardware import bound_elsewhere, unused_gpu
from mlpexp.doctor.layers import dead_units, exploding_gradients, saturated_units, symmetric_units, vanishing_gradients
from mlpexp.doctor.learning import diverged, missed_class, rate_too_large, rate_too_small, stuck_accuracy

_POOR = ("missed_class", "stuck_accuracy", "underfitting")
_OF_UNITS = ("dead_units", "saturated_units")
_OF_GRADIENTS = ("vanishing_gradients", "exploding_gradients")
_OF_RATE = ("rate_too_small", "rate_too_large")

# In the order in which they are looked for and shown: what explains others goes first.
SYMPTOMS = (
    Symptom(
        "diverged",
        "the loss became infinite or not a number",
        diverged,
        (*_OF_RATE, "symmetric_units", *_OF_GRADIENTS, *_OF_UNITS, "overfitting", *_POOR),
    ),
    Symptom(
        "rate_too_small",
        "the loss hardly changes, and steps are tiny compared with the weights",
        rate_too_small,
        ("rate_too_large", *_POOR),
    ),
    Symptom(
        "rate_too_large",
        "the loss ends above that of a constant answer or far above its minimum, or jumps",
        rate_too_large,
        (*_OF_GRADIENTS, "symmetric_units", "saturated_units", "overfitting", *_POOR),
    ),
    Symptom(
        "symmetric_units",
        "all units of a hidden layer have the same weights",
        symmetric_units,
        ("vanishing_gradients", *_OF_UNITS, *_POOR),
    ),
    Symptom(
        "vanishing_gradients",
        "the first hidden layers get hardly any gradient",
        vanishing_gradients,
        (*_OF_UNITS, *_POOR),
    ),
    Symptom("exploding_gradients", "gradients far larger than any step can use", exploding_gradients, _POOR),
    Symptom(
        "dead_units",
        "units of a layer give the same output for all inputs",
        dead_units,
        ("saturated_units", *_POOR),
    ),
    Symptom("saturated_units", "sigmoid or tanh at the limits, where it has no slope", saturated_units, _POOR),
    Symptom("overfitting", "validation loss rises while training loss falls, or nothing generalises", overfitting),
    Symptom(
        "missed_class",
        "a class of few rows is hardly ever predicted",
        missed_class,
        ("stuck_accuracy", "underfitting"),
    ),
    Symptom("stuck_accuracy", "accuracy stays at one poor value, such as chance", stuck_accuracy, ("underfitting",)),
    Symptom("underfitting", "training and validation rows are both predicted poorly", underfitting),
    Symptom("unused_gpu", "a GPU is there, and a large network trains on the CPU", unused_gpu),
    Symptom("bound_elsewhere", "most of the time goes into something other than training", bound_elsewhere),
)

# The name of a finding that reports a failure of the doctor itself.
FAILED = "examination_failed"


def examine(case: Case) -> list[dict[str, Any]]:
    """What is wrong with a run, as run.json holds it."""
    findings: list[Finding] = []
    explained: set[str] = set()
    for symptom in SYMPTOMS:
        if symptom.name in explained:
            continue
        try:
            # A diverged run has values that are not finite, and no rule applies to them.
            with np.errstate(all="ignore"):
                sign = symptom.rule(case)
        # A defect in a rule must not fail the run, and must be reported.
        except Exception as error:
            findings.append(_failed(symptom.name, error))
            continue
        if sign is not None:
            remedy, *others = [tried for tried in sign.remedies if tried is not None] or [""]
            findings.append(Finding(symptom.name, sign.evidence, remedy, others))
            explained.update(symptom.explains)
    return [dataclasses.asdict(finding) for finding in findings]


def examined(case: Callable[[], Case]) -> list[dict[str, Any]]:
    """The same of a case that is still to be put together; where that fails, a finding says so."""
    try:
        known = case()
    except Exception as error:
        return [dataclasses.asdict(_failed("what the rules need", error))]
    return examine(known)


def _failed(what: str, error: Exception) -> Finding:
    return Finding(
        FAILED,
        f"{what}: {type(error).__name__}: {error}; the run is not affected, but this is a defect of mlpexp",
    )
