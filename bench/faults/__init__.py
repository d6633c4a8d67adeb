"""What is broken on purpose, for longer than a test may take: `python -m bench.faults --help`."""
