"""One turn of a flow: who may start it, what its components do, what is kept of it."""
