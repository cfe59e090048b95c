"""One HTML page of runs, of sweeps, or of the whole course notebook. It needs no network."""
