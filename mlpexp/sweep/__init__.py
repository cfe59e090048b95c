"""Sweeps: from overrides to jobs, from jobs to stacks, which train or are resumed, some at the same time."""
