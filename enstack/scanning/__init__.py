"""C and C++ files into functions, in the form that models were trained on."""

from enstack.scanning.files import Found, ScannedFile, functions_of, scanned_files
from enstack.scanning.functions import Function
from enstack.scanning.leftovers import Leftover
from enstack.scanning.walk import SkippedFile

__all__ = [
    "Found",
    "Function",
    "Leftover",
    "ScannedFile",
    "SkippedFile",
    "functions_of",
    "scanned_files",
]
