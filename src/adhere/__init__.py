"""Make models follow instructions, and prove it."""

__version__ = "0.1.0"
