"""Imports every bundled dataset, so that each is registered."""

from mlpexp.data import cifar, digits, images, mnist, npz, points, sine, table, truth_tables

__all__ = ["cifar", "digits", "images", "mnist", "npz", "points", "sine", "table", "truth_tables"]
