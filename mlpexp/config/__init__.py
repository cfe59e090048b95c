"""From overrides to a checked config: the schema, Hydra, and what is said of a mistake."""
