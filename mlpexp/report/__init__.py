"""A page of runs and sweeps for a browser: one file that needs no network."""
