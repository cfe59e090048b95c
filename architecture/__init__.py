"""The rooms of the package, their order, and a picture of what imports what: `make architecture`."""
