"""Training runs: a stack of them, from prepared configs to artefacts, and a single one as a stack of one."""
