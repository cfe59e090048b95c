"""In how many processes the stacks of a sweep train at the same time."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mlpexp.config.schema import Config
from mlpexp.config.user_code import package, users_components
from mlpexp.cores import usable_cores
from mlpexp.engine.process import suits_one_thread
from mlpexp.training.prepare import Preparations

# A worker takes two seconds to import torch, as this process does at the same time. On two cores 24 runs of digits took
# 8.8 s in one process and 7.4 s in two, 80 took 16.1 and 11.0 s.
_WORTH_A_PROCESS = 1.5  # seconds of one core
# What a run adds to its stack on one core, about: for each step, for each multiplication of a step forwards, and for
# its files. A step of the stack costs 1.2 ms besides, in each of its parts.
_STEP, _MULTIPLICATION, _FILES = 20e-6, 1.5e-10, 0.03  # seconds


def n_processes(configs: Sequence[Config], preparations: Preparations) -> int:
    """How many processes are to train these runs, all of which can train beside others."""
    if not configs:
        return 1
    first = configs[0]
    if first.stack.processes is not None:
        return first.stack.processes
    if getattr(first.device, "threads", None) is not None:
        # Whoever says how many threads there are to be does not expect more.
        return 1
    pay = int(sum(seconds(config, preparations) for config in configs) / _WORTH_A_PROCESS)
    return max(1, min(usable_cores(), pay))


def seconds(config: Config, preparations: Preparations) -> float:
    """About how much longer a stack takes by a run, on one core."""
    steps = config.epochs * math.ceil(preparations.form(config).n_rows[0] / config.batch_size)
    return steps * (_STEP + _MULTIPLICATION * multiplications(config, preparations)) + _FILES


def multiplications(config: Config, preparations: Preparations) -> int:
    """Those of a step, forwards."""
    form = preparations.form(config)
    n_outputs = config.loss.resolve(form.task).n_outputs(form.task)
    return config.batch_size * config.model.n_parameters(form.n_features, n_outputs)


def beside_others(configs: Sequence[Config], preparations: Preparations) -> bool:
    """Whether a stack of these configs trains on one core of the CPU, and another process can have it."""
    first = configs[0]
    if first.device.find().type != "cpu":
        return False
    threads = getattr(first.device, "threads", None)
    step = len(configs) * multiplications(first, preparations)
    on_one = suits_one_thread(step, len(configs)) if threads is None else threads == 1
    return on_one and all(map(_sendable, configs))


def _sendable(config: Config) -> bool:
    """Whether another process can import the classes of a config's components."""
    known = {"mlpexp", *map(package, config.plugins)}
    return all(package(type(part).__module__) in known for part in users_components(config).values())
