"""What is kept about a flow: with whom it is shared, and what of it is switched off."""
