"""The documentation of a checked dataclass: what each field is, and which values its annotation allows.

What a field is stands under it, as a text of its own, where Sphinx and editors look for it too:

    lr: Positive = 0.001
    \"\"\"The learning rate.\"\"\"

Python discards such texts, so they are read from the source.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from mlpexp.fields.convert import KINDS, Named, show
from mlpexp.fields.ranges import FilePath, Range


def meanings(cls: type) -> dict[str, str]:
    """What each field of a dataclass is, in a line, by name; a class that gives a field another default inherits it.

    Fields without a text are left out, and so are all where there is no source.
    """
    found: dict[str, str] = {}
    for part in reversed(cls.__mro__):
        if dataclasses.is_dataclass(part):
            found |= _texts(part)
    return found


def _texts(cls: type) -> dict[str, str]:
    """The texts that stand under the fields of this class itself."""
    try:
        body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    except (OSError, TypeError):
        # The class was typed into an interpreter.
        return {}
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, below in zip(body.body, body.body[1:], strict=False):
        match field, below:
            case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(text))):
                found[name] = " ".join(text.split())
    return found


def allowed(annotation: Any) -> str:
    """The values that `convert` takes for an annotation, in words: `null, or a number greater than 0`."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner, *limits = arguments
        words = "a path" if any(isinstance(limit, FilePath) for limit in limits) else allowed(inner)
        ranges = [limit.wanted(limit.low) for limit in limits if isinstance(limit, Range)]
        return " ".join(filter(None, [words, *ranges]))
    if origin in (Union, types.UnionType):
        words = ", or ".join(allowed(option) for option in arguments if option is not type(None))
        return f"null, or {words}" if type(None) in arguments else words
    if origin is Literal:
        return f"{'one of ' if len(arguments) > 1 else ''}{', '.join(map(show, arguments))}"
    if origin in (list, tuple):
        return f"a list, each {allowed(arguments[0])}"
    if origin in (dict, Named) and arguments[-1] is not Any:
        return f"a mapping, each {allowed(arguments[-1])}"
    if origin in (dict, Named) or dataclasses.is_dataclass(annotation):
        return "a mapping"
    return KINDS.get(annotation, getattr(annotation, "__name__", str(annotation)))
