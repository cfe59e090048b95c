"""Steps that are recorded once and replayed as a whole, on a CUDA card.

The kernels of a small network's step end sooner than a processor can launch the next ones: the card waits for most of
the time. A CUDA graph of the step is launched at once (https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs).
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Sequence

import torch

from mlpexp.config.schema import Config
from mlpexp.engine.batch import Batch
from mlpexp.errors import RunError

# So many steps of a kind are made as usual before one is recorded: libraries set themselves up in them, and optimizers
# their moments. The last of them is watched.
_WARM_UP = 3

# What a recording is for: the shape of the inputs, whether they are mixed, whether gradients are measured.
_Kind = tuple[torch.Size, bool, bool]


def recordable(configs: Sequence[Config], device: torch.device) -> bool:
    """Whether the steps of a stack can be recorded: on a CUDA card, with such optimizers, where nothing is compiled."""
    wanted = configs[0].device.records_steps and not configs[0].compile
    return device.type == "cuda" and wanted and all(config.optimizer.recordable for config in configs)


class Replay:
    """Calls `step(batch, measure)`, or replays what it did with such a batch before.

    All that a step reads and writes must stay where it is in the card's memory: whoever puts other tensors in the
    place of parameters, moments, sums or generators begins with a new Replay.
    """

    def __init__(self, step: Callable[[Batch, bool], None], device: torch.device) -> None:
        self._step = step
        self._stream = torch.cuda.Stream(device)
        self._pool = torch.cuda.graph_pool_handle()
        self._made: Counter[_Kind] = Counter()
        # What steps read, recorded or not: products of batches that lie otherwise are rounded otherwise.
        self._held: dict[_Kind, Batch] = {}
        self._graphs: dict[_Kind, torch.cuda.CUDAGraph] = {}
        self._waits = False

    def __call__(self, batch: Batch, measure: bool) -> None:
        kind = (batch.x.shape, batch.partner is not None, measure)
        if kind not in self._held:
            self._held[kind] = batch.clone()
        held = self._held[kind]
        held.copy_(batch)
        self._made[kind] += 1
        if self._made[kind] > _WARM_UP and not self._waits:
            if kind not in self._graphs:
                self._graphs[kind] = self._record(held, measure)
            self._graphs[kind].replay()
        elif self._made[kind] == _WARM_UP:
            self._waits = self._waits_for_the_card(held, measure) or self._waits
        else:
            self._step(held, measure)

    def _waits_for_the_card(self, batch: Batch, measure: bool) -> bool:
        """Makes a step, and says whether the processor waited for the card in it.

        Our own layers do not, but a user's may. Such a step cannot be recorded, and to try would leave torch's
        generators unusable.
        """
        before = torch.cuda.get_sync_debug_mode()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                torch.cuda.set_sync_debug_mode("warn")
                self._step(batch, measure)
            finally:
                torch.cuda.set_sync_debug_mode(before)
        return any("synchronizing CUDA operation" in str(warning.message) for warning in caught)

    def _record(self, batch: Batch, measure: bool) -> torch.cuda.CUDAGraph:
        """A step that reads what lies in `batch` at the time; nothing is computed now. RunError where that fails."""
        graph = torch.cuda.CUDAGraph()
        for generator in batch.generators:
            if generator is not None:
                graph.register_generator_state(generator)
        outside = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(outside)
        try:
            with torch.cuda.stream(self._stream):
                # Other threads, TensorBoard's for one, may go on.
                graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
                try:
                    self._step(batch, measure)
                finally:
                    graph.capture_end()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            reason = str(error).split("\n", 1)[0]
            raise RunError(f"a step cannot be recorded as a CUDA graph: {reason} Try device.graphs=false.") from error
        outside.wait_stream(self._stream)
        return graph
