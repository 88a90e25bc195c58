"""How fast the library is: each bench_*.py is a group that pytest-benchmark runs. See docs/benchmarks.md."""
