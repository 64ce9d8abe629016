"""Memory of reading one JSON array of 1 GB: `python -m benchmarks.one_array`, in a clone.

A made-up Devign (one array) is written, and read by a process of its own as a run reads it: into
the cache of columns. Printed: the size, seconds, and the largest memory that the process held.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GB = 10**9
LINES = 60  # of a function: about 2 kB
KIB_PER_MIB = 1024


def write_array(path: Path, size: int) -> None:
    """An array of functions, of so many bytes or a row more."""
    with path.open("w") as file:
        file.write("[")
        row = 0
        while file.tell() < size:
            body = "".join(f"    value[{row} + {line}] = next(p);\n" for line in range(LINES))
            one = {"project": f"p{row % 9}", "commit_id": f"{row:x}", "target": row % 2}
            text = json.dumps({**one, "func": f"int f{row}(char *p)\n{{\n{body}}}\n"})
            file.write(f"{',' if row else ''}{text}")
            row += 1
        file.write("]")


def read_array(path: Path, scratch: Path) -> None:
    """Read it as a run does, and print what that took."""
    from enstack.data.functions import read_tables

    start = time.perf_counter()
    (columns,) = read_tables(path, cache_dir=scratch).values()
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_MIB
    print(
        f"{path.stat().st_size / GB:.2f} GB, {columns.table.n_rows:,} functions: {seconds:.0f} s, "
        f"at most {peak:.0f} MiB of memory"
    )


def main() -> None:
    """Write and read one array."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "function.json"
        write_array(path, GB)
        code = "import sys; from pathlib import Path; from benchmarks import one_array as one; "
        code += "one.read_array(Path(sys.argv[1]), Path(sys.argv[2]))"
        subprocess.run([sys.executable, "-c", code, str(path), f"{folder}/scratch"], check=True)


if __name__ == "__main__":
    main()
