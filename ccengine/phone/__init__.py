"""A small user agent for demo, benchmarks and tests."""
