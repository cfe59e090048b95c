"""Checked dataclasses: types, ranges and registries of what a config may hold. Imports no torch."""
