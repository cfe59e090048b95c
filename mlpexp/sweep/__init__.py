"""Sweeps: many jobs in one process. What a launcher calls (launch, together, task) any Hydra app can use."""
