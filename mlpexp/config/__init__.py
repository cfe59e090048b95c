"""From overrides to a checked config: the schema, Hydra, and the messages for mistakes."""
