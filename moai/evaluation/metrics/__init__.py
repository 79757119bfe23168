"""The metrics of the benchmarks, each written from its published definition."""
