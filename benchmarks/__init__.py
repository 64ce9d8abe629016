"""Measurements: ratios against peers, taken in the same run."""
