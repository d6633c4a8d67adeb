"""Conversations, their messages, and the runs behind them."""
