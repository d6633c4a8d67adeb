"""What every page stands on: who looks, the way to the runtime's loop, words and dates."""
