"""Benchmarks: each prints figures beside a peer measured in the same run. Not part of the test suite."""
