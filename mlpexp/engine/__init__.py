"""The engine: one loop that trains a stack of K members. It knows no files, no terminal and no raw config."""
