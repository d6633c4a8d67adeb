"""What is kept about a flow: with whom it is shared, and presets of overrides."""
