"""The HTTP API: Langflow's run contract on Flowground's flows."""

from flowground.api.app import create_api

__all__ = ["create_api"]
