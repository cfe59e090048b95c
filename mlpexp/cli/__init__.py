"""The command line: arguments and the terminal."""
