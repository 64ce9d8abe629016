"""What a bundle's base models said of a few functions, by which it is known to work elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from enstack.bundle.folder import PROBE
from enstack.bundle.trained_model import TrainedModel
from enstack.errors import CheckpointError
from enstack.models.fine_tuned import FineTunedModel
from enstack.progress.quiet import quietly
from enstack.storage.files import read_json_object, write_json

__all__ = ["PROBED", "require_same_answers", "write_probe"]

# Made up: no function of anybody's is stored with a bundle.
PROBED = (
    "first(const char *s)\n{\n    return s[0];\n}\n",
    "copy(char *to, const char *from, size_t n)\n{\n    char line[16];\n    strcpy(line, from);\n"
    "    memcpy(to, line, n);\n    return to;\n}\n",
    "sum(struct list *item)\n{\n    int total = 0;\n    /* up to the end */\n"
    "    while (item->next != NULL) {\n        total += item->value;\n"
    "        item = item->next;\n    }\n    free(item);\n    return total;\n}\n",
)
# In fp32, whatever the run predicted in: kernels of half precisions differ from version to version.
TOLERANCE, ON_GPU = 1e-5, 1e-3


def write_probe(folder: Path, model: TrainedModel) -> None:
    """Write what a model's base models say of the probed functions here."""
    texts = list(PROBED)
    write_json(
        folder / PROBE,
        {
            "functions": texts,
            "base_models": {one.name: _answers(one, texts) for one in model.base_models},
        },
    )


def require_same_answers(folder: Path, model: TrainedModel) -> None:
    """Raise CheckpointError where a base model says something else here than where it was exported.

    Tried, not told by version: that is how libraries differ.
    """
    stored = read_json_object(folder / PROBE, otherwise="")
    for one in model.base_models:
        expected = _expected(folder, stored, one)
        change = float(np.abs(_answers(one, stored["functions"]) - expected).max())
        # Asked so, for a NaN is larger than nothing.
        if not change <= (TOLERANCE if one.hardware.device.type == "cpu" else ON_GPU):
            raise CheckpointError(
                f"{one.name} of {folder} must say what it said when it was exported, its "
                f"probabilities differ by {change:.2g}.\nbundle.json tells the versions that it "
                "was exported under: install those, or export the run again."
            )


def _answers(model: FineTunedModel, functions: list[str]) -> np.ndarray:
    exact = replace(model, hardware=replace(model.hardware, precision="fp32"))
    with quietly():
        return exact.predict_proba(functions)


def _expected(folder: Path, stored: dict[str, Any], model: FineTunedModel) -> np.ndarray:
    """The stored answers (n, k) of a base model to the stored functions."""
    functions = stored.get("functions")
    try:
        answers = np.array(stored["base_models"][model.name], dtype=np.float64)
        texts = isinstance(functions, list) and all(isinstance(one, str) for one in functions)
        wanted = (len(functions or ()), model.classifier.config.num_labels)
        problem = None if texts and functions and answers.shape == wanted else "not as many"
    except (KeyError, TypeError, ValueError) as error:
        problem = f"{type(error).__name__}: {error}"
    if problem:
        raise CheckpointError(
            f"{folder / PROBE} must hold what {model.name} said of some functions: {problem}. "
            "Export the run again."
        )
    return answers
