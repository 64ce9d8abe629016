"""Made-up functions and tiny models, all made offline."""
