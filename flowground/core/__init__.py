"""Values, events, messages, errors and words: what every other package is made of. It reads and writes nothing."""
