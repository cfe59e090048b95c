"""What is done when members end: their best weights are evaluated on all splits, in one pass at the last epoch, and
those whose figures are drawn are chosen.

K members, N rows of a split, C outputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from mlpexp.config.schema import Config
from mlpexp.engine.loop import Engine
from mlpexp.engine.member import Member
from mlpexp.run.files import side_by_side
from mlpexp.run.results import judged
from mlpexp.training.attempt import Attempt

# Members are evaluated in groups with at most about so many outputs K·N·C, since a few copies of these are in memory.
_OUTPUTS = 2**23


def judge(engine: Engine, attempts: Sequence[Attempt]) -> None:
    """Saves each member that has ended, once, and evaluates its best weights; or records why it failed."""
    now = side_by_side(lambda attempt: attempt.end(engine), attempts)
    pending = {attempt.member: attempt for attempt, ended in zip(attempts, now, strict=True) if ended}
    if not pending:
        return
    # Members that are only replayed are among them: see `_parts`.
    ended = [k for k, member in enumerate(engine.members) if engine.has_ended(member) and member.failure is None]
    for some in _parts(engine, ended):
        found: Sequence[dict[str, dict[str, float]] | None] = [None] * len(some)
        # Where this fails, each member is evaluated alone below, so that only those that cause the error have it.
        with suppress(Exception):
            found = _judged(engine, some, pending)
        for k, metrics in zip(some, found, strict=True):
            attempt = pending.get(engine.members[k])
            if attempt is not None:
                with attempt.own_errors():
                    attempt.judged(engine, metrics or _judged(engine, [k], pending)[0])


def _parts(engine: Engine, members: Sequence[int]) -> Iterator[Sequence[int]]:
    data = engine.members[0].data
    n_outputs = max(len(split) for split in data.splits().values()) * engine.loss.n_outputs(engine.task)
    # A member that stops early is evaluated alone: if the sweep is killed later, it is resumed from its own checkpoint
    # and evaluated alone too. Evaluated with other members, its numbers could be rounded differently.
    step = max(1, _OUTPUTS // n_outputs) if engine.epoch == engine.total_epochs else 1
    for start in range(0, len(members), step):
        yield members[start : start + step]


def _judged(
    engine: Engine, members: Sequence[int], pending: Mapping[Member, Attempt]
) -> list[dict[str, dict[str, float]]]:
    attempts = {k: pending.get(engine.members[k]) for k in members}
    networks = {k: engine.best_network(k) if own is None else own.results.module for k, own in attempts.items()}
    temperatures = [1.0 if own is None else own.results.temperature for own in attempts.values()]
    data = [engine.members[k].data for k in members]
    return judged(engine.stack_of(networks), data, engine.objective.of(members), temperatures)


def with_figures(members: Iterable[Member]) -> set[Member]:
    """Those whose figures are drawn, by their `log.figures`: of each setting the best one, all, or none.

    The best has the highest validation score, or where the loss picks epochs the least loss; of equals the first.
    """
    ended = [member for member in members if member.failure is None]
    best: dict[Config, Member] = {}
    for member in ended:
        setting = setting_of(member.config)
        other = best.setdefault(setting, member)
        if (member.best.score, -member.best.loss) > (other.best.score, -other.best.loss):
            best[setting] = member
    asked = {True: set(best.values()), "all": set(ended), False: set[Member]()}
    return {member for member in ended if member in asked[member.config.log.figures]}


def setting_of(config: Config) -> Config:
    """What is the same in runs of one setting: all but the seed and the split of the data."""
    return replace(config, seed=0, dataset=config.dataset.unsplit)
