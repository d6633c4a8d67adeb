"""Flowground: LLM flows from YAML files, each with a playground, an API endpoint and a shareable page."""

__version__ = "0.2.0"
