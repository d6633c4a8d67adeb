"""The HTTP API: Langflow's run contract on Flowground's flows."""
