"""The inside of a flow, for who may see it: a picture of it, and its file with the mistakes in it."""
