"""Files that hold functions in a form that is not read: by their endings, what to do with them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

__all__ = ["advice_for"]

# By endings, what makes a table of a file.
ADVICE = {
    (".zip", ".tar", ".tgz", ".gz", ".7z", ".rar", ".bz2", ".xz", ".zst"): "Unpack the archive: "
    "of packed files only .jsonl, .json and .csv are read, as .gz or .zst.",
    (".xlsx", ".xls", ".ods"): "Save the sheet as .csv (UTF-8, commas), or with pandas: "
    "read_excel(...).to_parquet(...).",
    (".pkl", ".pickle", ".pt", ".pth", ".npz", ".npy", ".joblib"): "Pickles and arrays are not "
    "opened, for they may run code: write a table where you trust the file, as with "
    "pandas.read_pickle(...).to_parquet(...).",
    (".db", ".sqlite", ".sqlite3", ".sql"): "Write the one query that is meant as a table: "
    "pandas.read_sql(...).to_parquet(...).",
    (".feather",): "Give it the ending .arrow: that is what it is.",
    (".c", ".cc", ".cpp", ".cxx", ".h", ".hpp"): "Files of code have no labels: write a table of "
    "func and label, or judge them by a model that exists with `enstack scan`.",
    # Last: a licence beside an archive is text too.
    (".tsv", ".tab", ".txt"): "Write it as .csv with commas and names in the first line: "
    "pandas.read_csv(..., sep='\\t').to_csv(..., index=False).",
}


def advice_for(paths: Iterable[Path]) -> str:
    """What to do with files of which some has a known ending; empty for none."""
    there = {path.suffix.lower() for path in paths}
    known = (advice for endings, advice in ADVICE.items() if there & set(endings))
    return next((f" {advice}" for advice in known), "")
