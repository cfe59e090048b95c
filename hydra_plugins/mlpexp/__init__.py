"""mlpexp's plugins for Hydra, which looks for plugins in the namespace package hydra_plugins at every start."""
