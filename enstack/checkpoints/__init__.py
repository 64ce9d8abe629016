"""Saved, copied, found again, judged: everything between a training state and a disk."""
