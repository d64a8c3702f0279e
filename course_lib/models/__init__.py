"""One file a family of generators: a config dataclass and the model it describes."""
