"""How good transfer is: the protocols `zoo-32` (run here) and `papers` (run files).

    python -m benchmarks.quality run --data-root DIR

The files import minegan_zoo and, downwards: sources, images, protocol; measuring, training; performing; jobs, tuning;
results; bars, charts; page. Everything is data in sources.py and protocol.py.
"""
