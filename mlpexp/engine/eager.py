"""Keeping torch's compiler out of runs that do not compile.

Importing torch._dynamo takes more than a second, most of what a short run costs, and in torch 2.14 both making
an optimizer and stepping it import it, if only to tell the compiler to stay away. Where a release of torch
does this elsewhere, nothing here breaks: the second is lost again, and a test says so.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer

# Methods of Optimizer that torch marks as never to be compiled.
_MARKED = ("add_param_group", "state_dict", "load_state_dict")


def spare_the_compiler() -> None:
    """Lets the marked methods be called directly, as they are outside compiled code anyway."""
    for name in _MARKED:
        plain = getattr(getattr(Optimizer, name), "__wrapped__", None)
        if plain is not None and not hasattr(plain, "__dynamo_disable"):
            # Where torch keeps the function to call, once its compiler has been asked (torch/_compile.py).
            plain.__dynamo_disable = plain


def plain_step(optimizer: Optimizer) -> Callable[..., Any]:
    """`optimizer.step` without what torch wraps around it: hooks, profiling, a break in compiled graphs.

    It changes parameters in place, as inside torch.no_grad().
    """
    step = torch.no_grad()(inspect.unwrap(type(optimizer).step))
    return lambda *closure: step(optimizer, *closure)
