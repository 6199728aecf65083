"""postga: the week after a release, from Prometheus to verdicts."""

__version__ = "0.1.0"
