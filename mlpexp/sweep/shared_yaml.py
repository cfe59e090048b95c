"""Configs as YAML, letter for letter as OmegaConf writes them, in a fraction of its time."""

from __future__ import annotations

from typing import Any

import yaml
from omegaconf._utils import get_omega_conf_dumper


class _Dumper(getattr(yaml, "CDumper", yaml.Dumper)):  # type: ignore[misc]
    """OmegaConf's dumper on libyaml, where that is installed."""

    yaml_representers = get_omega_conf_dumper().yaml_representers


class SharedYaml:
    """Writes configs of which large parts are equal, as Hydra's node is for the jobs of a sweep."""

    def __init__(self) -> None:
        self._sections: dict[str, tuple[Any, str]] = {}

    def __call__(self, plain: Any) -> str:
        """What `OmegaConf.to_yaml` gives for a config; `plain` is its container, with enums as texts."""
        text: str = yaml.dump(plain, default_flow_style=False, allow_unicode=True, sort_keys=False, Dumper=_Dumper)
        return text

    def nested(self, key: str, plain: dict[str, Any]) -> str:
        """The same of {key: plain}; a section of `plain` that is as it was in the last call is not written anew."""
        head = f"{key}:\n"
        parts = [head]
        for name, section in plain.items():
            known = self._sections.get(name)
            if known is None or known[0] != section:
                known = section, self({key: {name: section}}).removeprefix(head)
                self._sections[name] = known
            parts.append(known[1])
        return "".join(parts)
