"""enstack: fine-tune code models, stack them, and resume without paying twice."""

__version__ = "0.1.0"
