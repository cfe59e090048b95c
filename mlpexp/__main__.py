"""`python -m mlpexp` is `mlpexp`."""

from mlpexp.cli.main import main

main()
