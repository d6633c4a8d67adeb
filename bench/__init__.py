"""What Flowground costs, beside a model that answers at once: `make bench` writes docs/performance.md."""
