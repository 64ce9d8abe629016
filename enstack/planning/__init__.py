"""Sessions of a run: what each of them did, what is left to do, and how long that takes."""
