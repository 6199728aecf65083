"""Measurements that are run by hand, `python -m benchmarks.<name>`, and never as part of the tests."""
