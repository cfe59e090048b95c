"""The datasets: how each is made or read, and split into train, val and test."""
