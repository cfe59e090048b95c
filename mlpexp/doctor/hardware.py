"""Whether the hardware was used well."""

from __future__ import annotations

from mlpexp.doctor.case import Case, Evidence, number, percent

# A step of fewer multiplications takes less than a millisecond on a CPU: about what it takes to start the
# kernels of a step on a GPU. The same size at which a second thread begins to pay, see engine/threads.py.
_WORTH_A_GPU = 10_000_000
# Seconds of training: to set up a GPU takes some of them.
_LONG_TRAINING = 10.0
# Seconds of the whole stack: half a minute matters little, and small runs take as long to draw as to train.
_LONG = 30.0
# Below this share of the time, training is not the bottleneck.
_MAIN = 0.5


def unused_gpu(case: Case) -> Evidence | None:
    """A GPU that is there and not used, by a network large enough to gain from it."""
    gpu, training = case.idle_gpu, case.time.seconds.get("training", 0.0)
    if gpu is None or training < _LONG_TRAINING or case.multiplications < _WORTH_A_GPU:
        return None
    return Evidence(
        f"{number(training)} s of training on the CPU, at {number(case.multiplications)} multiplications a step, "
        f"and this machine has {gpu}",
        [f"device={gpu}"],
    )


def bound_elsewhere(case: Case) -> Evidence | None:
    """Most of the time went into something other than training."""
    time = case.time
    training = time.seconds.get("training", 0.0)
    if time.total < _LONG or training >= _MAIN * time.total:
        return None
    parts = sorted(time.seconds.items(), key=lambda part: -part[1])
    of = f" of the {time.members} runs of its stack" if time.members > 1 else ""
    listed = ", ".join(f"{what} {number(seconds)} s" for what, seconds in parts if seconds >= 0.01 * time.total)
    main = next(what for what, _ in parts if what != "training")
    return Evidence(
        f"training took {percent(training / time.total)} of {number(time.total)} s{of}: {listed}", _cheaper(case, main)
    )


def _cheaper(case: Case, what: str) -> list[str | None]:
    config = case.config
    if what == "figures":
        return ["log.confusion_every=0"] if config.log.confusion_every else ["log.figures=false"]
    if what == "checkpoints":
        return [f"checkpoint.every_seconds={max(60, 10 * round(config.checkpoint.every_seconds))}"]
    if what == "diagnostics":
        return [f"log.diagnostics={config.log.diagnostics // 10}"]
    if what == "writing":
        images = "log.confusion_every=0" if config.log.confusion_every else None
        weights = "log.histograms=0" if config.log.histograms > 5 else None
        return [images, weights, "log.tensorboard=false" if config.log.tensorboard else None]
    return ["dataset.val_fraction=0.1"] if getattr(config.dataset, "val_fraction", 0) > 0.1 else []
