"""A YAML file with positions, and the mistakes in it: what flow files and config.yaml are read with."""
