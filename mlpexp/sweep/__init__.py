"""Sweeps: many jobs in one process, as Hydra sees them. Free of torch; any Hydra app can use it."""
