"""The doctor: what is wrong with a run that has ended, the evidence, and what to try instead."""
