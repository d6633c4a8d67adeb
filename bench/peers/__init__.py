"""Flowground beside Gradio and Chainlit, measured in one run."""
