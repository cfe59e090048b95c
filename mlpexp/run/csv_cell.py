"""Cells of CSV files, which people open in spreadsheets."""

from __future__ import annotations

from typing import Any


def no_formula(cell: Any) -> Any:
    """A text that a spreadsheet would run as a formula gets a quote before it; a negative number does not."""
    if not isinstance(cell, str) or not cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell
