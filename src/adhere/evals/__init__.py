"""Benchmarks, metrics, statistics and the floor."""
