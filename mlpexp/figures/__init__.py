"""The pictures of a run, each a pure function from arrays to a matplotlib figure."""
