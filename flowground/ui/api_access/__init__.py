"""The API access pane: code that asks the flow, tokens, *Try it*."""
