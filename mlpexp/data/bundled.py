"""Imports every bundled dataset, so that each is registered."""

from mlpexp.data import digits, mnist, points, sine, table, truth_tables

__all__ = ["digits", "mnist", "points", "sine", "table", "truth_tables"]
