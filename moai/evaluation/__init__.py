"""Benchmarks: suites, metrics, reports."""
