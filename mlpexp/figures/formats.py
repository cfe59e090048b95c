"""The files that a figure can be written as."""

from __future__ import annotations

from typing import Literal, get_args

# PNG has 200 dots an inch. SVG has text as outlines, PDF as text with its fonts: both look alike everywhere.
Format = Literal["png", "svg", "pdf"]
FORMATS: tuple[Format, ...] = get_args(Format)
