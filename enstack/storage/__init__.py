"""Bytes that are whole or absent, on disks that may be slow."""
