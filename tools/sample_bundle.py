"""Makes the toy model that ships with the package anew, where a bundle's form has changed.

`python -m tools.sample_bundle` takes a minute: a small run on the toy data, whose counted words are
exported, without the sketches by which copies of its training functions would be known.
"""

from __future__ import annotations

import dataclasses
import shutil
import sys
import tempfile
from pathlib import Path

import enstack
from enstack.bundle.folder import DETAILS
from enstack.bundle.profile import read_profile, write_profile
from enstack.bundle.sample import SAMPLE
from enstack.storage.manifest import MANIFEST, write_manifest

SETTINGS = {
    "DATA_DIR": "toy",
    "LABEL_MODE": "cwe_or_clean",
    "BASE_MODELS": ["tiny-a"],
    "META_CLASSIFIERS": ["lr"],
    "MAX_LENGTH": 32,
    "EPOCHS": 1,
    "SAVE_STEPS": 0,
}


def main(runs: list[str]) -> int:
    """Write the bundle, of a run that is named, or of a small one that is made for it."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "toy-model"
        run = runs[0] if runs else _run(Path(folder) / "toy-model-run")
        made = enstack.export(run, place, name="tfidf_lr")
        # 160 kB by which nobody's function is ever known.
        write_profile(made, dataclasses.replace(read_profile(made), known=None))
        (made / MANIFEST).unlink()
        write_manifest(made, **DETAILS)
        shutil.rmtree(SAMPLE, ignore_errors=True)
        shutil.copytree(made, SAMPLE)
    print(f"{SAMPLE}: {sum(one.stat().st_size for one in SAMPLE.iterdir()):,} bytes")
    return 0


def _run(folder: Path) -> Path:
    return enstack.run(enstack.configure(**SETTINGS, RUN_DIR=str(folder))).run_dir


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
