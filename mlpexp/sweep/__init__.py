"""Sweeps: from overrides to jobs, from jobs to stacks, and these trained one after the other, or resumed."""
