"""What is measured: run `python -m benchmarks`, or one module by itself."""
