"""The end of members: their best weights are evaluated on all splits, at the last epoch in one pass for all.

K members, N rows of a split, C outputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from mlpexp.engine.loop import Engine
from mlpexp.engine.member import Member
from mlpexp.run.files import side_by_side
from mlpexp.run.results import judged
from mlpexp.training.attempt import Attempt

# Members are judged in parts of about so many outputs K·N·C, of which a few copies are held at a time.
_OUTPUTS = 2**23


def judge(engine: Engine, attempts: Sequence[Attempt]) -> None:
    """Saves members that have ended, once, and judges their best weights; or records why they failed."""
    now = side_by_side(lambda attempt: attempt.end(engine), attempts)
    pending = {attempt.member: attempt for attempt, ended in zip(attempts, now, strict=True) if ended}
    if not pending:
        return
    # With those that are only replayed: see `_parts`.
    ended = [k for k, member in enumerate(engine.members) if engine.has_ended(member) and member.failure is None]
    for some in _parts(engine, ended):
        found: Sequence[dict[str, dict[str, float]] | None] = [None] * len(some)
        # Where it fails each is judged alone, so that the error is that of the members that have it.
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
    # A member that stops early goes on from its own checkpoint if the sweep is killed later. It is judged alone, as it
    # will be then: in other company its numbers could be rounded in another way.
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
