"""The course notebook that mlpexp grew from, as commands: every exhibit of it, run, and put on one page."""
