"""Steps that are recorded once and replayed as a whole, on a CUDA GPU.

The kernels of a small network's step end sooner than the CPU can launch the next ones: the GPU is idle for most of
the time. A CUDA graph of the step is launched at once (https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs).
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

import torch

from mlpexp.config.schema import Config
from mlpexp.config.user_code import is_ours
from mlpexp.data.batch import Batch
from mlpexp.errors import RunError

# This many steps of a kind are made as usual before one is recorded: libraries and optimizers initialise themselves in
# them.
_WARM_UP = 3

# What a recording is for: the shape of the inputs, whether they are mixed, whether gradients are measured.
_Kind = tuple[torch.Size, bool, bool]
# Makes a step with a batch, and measures its gradients or does not.
_Make = Callable[[Batch, bool], None]


def cuda_graph_safe(configs: Sequence[Config], device: torch.device) -> bool:
    """Whether the steps of a stack can be recorded: on a CUDA GPU, with our own components, where nothing is compiled.

    A user's component may wait for the GPU, which cannot be recorded, or run Python code, which is not replayed.
    """
    first = configs[0]
    if device.type != "cuda" or first.compile or not first.device.records_steps:
        return False
    parts = [
        part
        for config in configs
        for part in (config.model, config.activation, config.loss, config.optimizer, *config.regularizer)
    ]
    return all(map(is_ours, parts)) and all(config.optimizer.cuda_graph_safe for config in configs)


class Replay:
    """The steps of one stack, as they were recorded.

    All that a step reads and writes must stay where it is in the GPU's memory: code that puts other tensors in the
    place of parameters, moments, sums or generators begins with a new Replay.
    """

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device)
        self._pool = torch.cuda.graph_pool_handle()
        self._made: Counter[_Kind] = Counter()
        # What steps read, recorded or not: products of batches with another memory layout are rounded differently.
        self._held: dict[_Kind, Batch] = {}
        self._graphs: dict[_Kind, torch.cuda.CUDAGraph] = {}

    def step(self, make: _Make, batch: Batch, measure: bool) -> None:
        """Calls `make(batch, measure)`, or replays what it did with such a batch before."""
        kind = (batch.x.shape, batch.y_mixed is not None, measure)
        if kind in self._held:
            self._held[kind].copy_(batch)
        else:
            self._held[kind] = batch.clone()
        held = self._held[kind]
        self._made[kind] += 1
        if self._made[kind] <= _WARM_UP:
            make(held, measure)
            return
        if kind not in self._graphs:
            self._graphs[kind] = self._record(make, held, measure)
        self._graphs[kind].replay()

    def _record(self, make: _Make, batch: Batch, measure: bool) -> torch.cuda.CUDAGraph:
        """A step that reads what lies in `batch` at the time; nothing is computed now. RunError where that fails."""
        graph = torch.cuda.CUDAGraph()
        outside = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(outside)
        with torch.cuda.stream(self._stream):
            _register(graph, batch)
            # The memory of a recording is its own: it cannot have what was freed and kept for other steps.
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
            try:
                # Other threads, such as TensorBoard's, may use CUDA meanwhile.
                graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
                try:
                    make(batch, measure)
                except BaseException:
                    # Its own error only repeats that the recording failed.
                    with suppress(RuntimeError):
                        graph.capture_end()
                    raise
                graph.capture_end()
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                reason = str(error).split("\n", 1)[0]
                advice = "Try device=cuda device.graphs=false."
                raise RunError(f"a step cannot be recorded as a CUDA graph: {reason} {advice}") from error
        outside.wait_stream(self._stream)
        return graph


def _register(graph: torch.cuda.CUDAGraph, batch: Batch) -> None:
    """Lets a recording draw from the members' generators. Newer releases of torch need not be told, and warn."""
    register = getattr(graph, "register_generator_state", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for generator in batch.generators:
            if register is not None and generator is not None:
                register(generator)
