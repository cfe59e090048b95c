"""The random state that dropout and noise draw from while a stack trains."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


class Noise:
    """A random state of a stack's own, put in place of torch's global one while it is in use.

    torch's dropout layers, and a user's own layers, draw from the global generator and take no other. Swapping
    its state keeps runs independent of whatever else a program draws, and the program of the runs.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._device = device
        with torch.random.fork_rng(devices=self._devices(), device_type=self._kind):
            torch.manual_seed(seed)
            self._state = self._read()

    @property
    def _kind(self) -> str:
        return "cuda" if self._device.type == "cpu" else self._device.type

    def _devices(self) -> list[torch.device]:
        return [] if self._device.type == "cpu" else [self._device]

    def _read(self) -> dict[str, torch.Tensor]:
        state = {"cpu": torch.get_rng_state()}
        if self._device.type != "cpu":
            state[self._device.type] = torch.get_device_module(self._device).get_rng_state()
        return state

    def _write(self, state: dict[str, torch.Tensor]) -> None:
        torch.set_rng_state(state["cpu"])
        if self._device.type in state and self._device.type != "cpu":
            torch.get_device_module(self._device).set_rng_state(state[self._device.type])

    @contextmanager
    def in_use(self) -> Iterator[None]:
        outside = self._read()
        self._write(self._state)
        try:
            yield
        finally:
            self._state = self._read()
            self._write(outside)

    def state_dict(self) -> dict[str, Any]:
        return dict(self._state)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from `state`; one that was saved on another kind of device has only its CPU part taken."""
        self._state = {**self._state, **{name: state[name] for name in self._state if name in state}}
