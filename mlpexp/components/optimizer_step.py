"""Steps of optimizers: torch's compiler is kept out of runs that do not compile.

Importing torch._dynamo takes more than a second, most of what a short run costs, and in torch 2.14 both making
an optimizer and stepping it import it, only to exclude them from it. Where a release of torch
does this elsewhere, nothing here breaks: the second is lost again, and a test fails.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim import optimizer as optimizer_module

# Methods of Optimizer that torch marks as never to be compiled.
_MARKED = ("add_param_group", "state_dict", "load_state_dict")


def skip_dynamo_import() -> None:
    """Lets the marked methods be called directly, as they are outside compiled code anyway."""
    for name in _MARKED:
        plain = getattr(getattr(Optimizer, name), "__wrapped__", None)
        if plain is not None and not hasattr(plain, "__dynamo_disable"):
            # Where torch keeps the function to call, once its compiler has been asked (torch/_compile.py).
            plain.__dynamo_disable = plain


def plain_step(optimizer: Optimizer) -> Callable[..., Any]:
    """`optimizer.step`; that of torch's own optimizers without the profiling and the graph breaks that torch adds.

    Code of others is called as it is: a step of a subclass, decorated or set on the instance, and hooks.
    """
    if not _is_torchs_own(type(optimizer).step):
        return optimizer.step
    plain = torch.no_grad()(inspect.unwrap(type(optimizer).step))
    hooks = _hooks(optimizer)

    def step(*closure: Callable[[], Any]) -> Any:
        if any(hooks) or "step" in vars(optimizer):
            return optimizer.step(*closure)
        return plain(optimizer, *closure)

    return step


def loss_of(closure: Callable[[], Any] | None) -> Any:
    """What the closure of an optimizer's step gives, with gradients; None without one."""
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


def _is_torchs_own(function: Any) -> bool:
    """Whether a function and all that it wraps are defined in torch."""
    while function is not None:
        if not getattr(function, "__globals__", {}).get("__name__", "").startswith("torch."):
            return False
        function = getattr(function, "__wrapped__", None)
    return True


def _hooks(optimizer: Optimizer) -> list[Any]:
    """The mappings that hold the hooks of a step, which fill later: the optimizer's, and those of all optimizers.

    Where a release of torch keeps them elsewhere, the optimizer counts as one with hooks.
    """
    own = [getattr(optimizer, f"_optimizer_step_{kind}_hooks", True) for kind in ("pre", "post")]
    return own + [getattr(optimizer_module, f"_global_optimizer_{kind}_hooks", True) for kind in ("pre", "post")]
