"""What the interpolations of a config give: `${key}` by ourselves, everything else by OmegaConf."""

from __future__ import annotations

import contextlib
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mlpexp.config import hydra_adapter
from mlpexp.config.explain import explain_value
from mlpexp.config.nested import NotPlainError, copied
from mlpexp.errors import ConfigError
from mlpexp.fields.convert import Interpolated


def resolved(plain: dict[str, Any], base: DictConfig, hydra: DictConfig) -> dict[str, Any]:
    """The config with its interpolations resolved; what one of them gives as a text is `Interpolated`."""
    with contextlib.suppress(NotPlainError):
        return copied(plain, plain)
    node = OmegaConf.create(plain)
    # All configs of a sweep have the same value of ${now:…} and similar resolvers.
    OmegaConf.copy_cache(base, node)
    try:
        with hydra_adapter.current_config(hydra):
            found: Any = OmegaConf.to_container(node, resolve=True)
    except Exception as error:  # a resolver may raise anything
        raise ConfigError(explain_value(error, plain)) from error
    return _marked(plain, found)


def selected(config: DictConfig, key: str) -> Any:
    """One value of a composed config, resolved; ConfigError where it cannot be."""
    try:
        with hydra_adapter.current_config(config):
            return OmegaConf.select(config, key, throw_on_missing=True)
    except Exception as error:  # a resolver may raise anything
        written = OmegaConf.to_container(config, resolve=False)
        raise ConfigError(explain_value(error, written, key)) from error


def _marked(written: Any, found: Any) -> Any:
    if isinstance(written, dict) and isinstance(found, dict):
        return {key: _marked(written[key], value) for key, value in found.items()}
    if isinstance(written, list) and isinstance(found, list) and len(written) == len(found):
        return [_marked(one, other) for one, other in zip(written, found, strict=True)]
    return Interpolated(found) if isinstance(written, str) and isinstance(found, str) and "${" in written else found
