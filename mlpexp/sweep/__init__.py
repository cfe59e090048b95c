"""Sweeps: from overrides to jobs, and from jobs to stacks, which are trained one after the other, or resumed."""
