"""The random numbers that dropout and noise draw while a member trains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch


class MemberRng:
    """A member's own source of random numbers, so that what it draws depends on its seed alone.

    As a `generator` for layers that take one; or in place of torch's global state, since a user's own layers draw
    from that and take no other. Both continue the same sequence. Swapping the global state keeps runs independent of
    everything else that a program draws, and the program independent of the runs.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._device = device
        self._generator: torch.Generator | None = None
        # Not by torch.manual_seed, which seeds every GPU of the caller's too.
        sources = {"cpu": torch.Generator(), device.type: torch.Generator(device)}
        self._state = {kind: source.manual_seed(seed).get_state() for kind, source in sources.items()}

    def _gpu(self) -> list[torch.device]:
        """The GPU, where there can be several; empty for other devices."""
        return [self._device] if self._device.type == "cuda" else []

    def _read(self) -> dict[str, torch.Tensor]:
        state = {"cpu": torch.get_rng_state()}
        if self._device.type != "cpu":
            state[self._device.type] = torch.get_device_module(self._device).get_rng_state(*self._gpu())
        return state

    def _write(self, state: dict[str, torch.Tensor]) -> None:
        torch.set_rng_state(state["cpu"])
        if self._device.type in state and self._device.type != "cpu":
            torch.get_device_module(self._device).set_rng_state(state[self._device.type], *self._gpu())

    @contextmanager
    def in_use(self) -> Iterator[Sequence[torch.Generator]]:
        """Torch's global state is the member's; no generator need be given."""
        outside = self._read()
        self._write(self.state_dict())
        try:
            yield ()
        finally:
            self._state, self._generator = self._read(), None
            self._write(outside)

    def generator(self) -> torch.Generator:
        """A generator on the member's device that goes on where the member stands."""
        if self._generator is None:
            self._generator = torch.Generator(self._device)
            self._generator.set_state(self._state[self._device.type])
        return self._generator

    def position(self) -> dict[str, torch.Tensor]:
        """Where the member stands while layers draw from it."""
        return self._read() if self._generator is None else {self._device.type: self._generator.get_state()}

    def go_to(self, position: dict[str, torch.Tensor]) -> None:
        """Lets layers draw again what they have drawn since then."""
        if self._generator is None:
            self._write(position)
        else:
            self._generator.set_state(position[self._device.type])

    def state_dict(self) -> dict[str, Any]:
        if self._generator is not None:
            self._state[self._device.type] = self._generator.get_state()
        return dict(self._state)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from `state`; one that was saved on another kind of device has only its CPU part taken."""
        self._state = {**self._state, **{name: state[name] for name in self._state if name in state}}
        self._generator = None
