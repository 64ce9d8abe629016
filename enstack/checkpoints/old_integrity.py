"""Is a checkpoint without a manifest whole? Told by structure, checksums and numbers alone."""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from enstack.checkpoints.finite import moments_fault, weights_fault
from enstack.checkpoints.slots import STATE_FILE, WEIGHTS_FILE
from enstack.storage.files import CHUNK_BYTES
from enstack.storage.json_text import parsed_json

CONFIG_FILE = "config.json"
LAYER = re.compile(r"encoder\.layer\.(\d+)\.")
Shapes = dict[str, tuple[int, ...]]


def structural_problems(folder: Path, *, needs_state: bool = True) -> list[str]:
    """Faults that show without reading it all: files missing, cut, or of different models.

    needs_state: False for weights that are only to predict with.
    """
    needed = [WEIGHTS_FILE, CONFIG_FILE, *([STATE_FILE] if needs_state else [])]
    missing = [f"{name} is missing" for name in needed if not (folder / name).is_file()]
    return missing or _misfits(folder)


def content_problems(folder: Path, optimizer: dict[str, Any] | None = None) -> list[str]:
    """Faults that only reading shows: changed bytes in the state, weights that are no numbers.

    optimizer: its state, where that is known, whose moments must be numbers too.

    safetensors keeps no checksum: bytes changed into other finite weights can't be told.
    """
    changed = _changed_records(folder / STATE_FILE)
    spoilt = weights_fault(folder / WEIGHTS_FILE) or moments_fault(optimizer or {})
    return [*changed, *([spoilt] if spoilt else [])]


def moments_problems(folder: Path, optimizer: dict[str, Any]) -> list[str]:
    """AdamW's moments have the shapes of weights; which of them they belong to, training checks."""
    if "vocab_size" not in _config(folder):
        return []  # not a model that we know by its configuration
    # Counted: two moments of a shape for one weight of that shape do not fit either.
    slots = optimizer["state"].values()
    moments = Counter(tuple(slot["exp_avg"].shape) for slot in slots if "exp_avg" in slot)
    strange = moments - Counter(_shapes(folder / WEIGHTS_FILE).values())
    if not strange:
        return []
    shape = list(next(iter(strange)))
    return [
        f"{STATE_FILE} belongs to another model than {WEIGHTS_FILE}: it has optimizer moments of "
        f"shape {shape} for which there are no weights"
    ]


def class_count(folder: Path) -> int:
    """Classes that the classification head tells apart, by config.json."""
    config = _config(folder)
    # A saved config.json leaves out what is a default of transformers, such as two labels.
    return len(config.get("id2label") or {}) or int(config.get("num_labels", 2))


def _config(folder: Path) -> dict[str, Any]:
    config = parsed_json((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    if not isinstance(config, dict):
        raise ValueError(f"it must hold a JSON object, found a {type(config).__name__}")
    return config


def _shapes(weights: Path) -> Shapes:
    """Shape of each tensor, from the header alone."""
    with safe_open(str(weights), framework="pt") as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118


def _misfits(folder: Path) -> list[str]:
    try:
        shapes = _shapes(folder / WEIGHTS_FILE)
    except OSError as error:
        return [f"{WEIGHTS_FILE} can't be read: {error}"]
    except SafetensorError as error:
        size = (folder / WEIGHTS_FILE).stat().st_size
        told = f"its {size:,} bytes are not what its header says ({error})"
        return [f"{WEIGHTS_FILE} is damaged: {told}"]
    try:
        wanted = _wanted_shapes(folder)
        stored = {layer[1] for layer in map(LAYER.search, shapes) if layer}
        layers = _config(folder).get("num_hidden_layers", len(stored))
    except (OSError, ValueError, TypeError) as error:
        return [f"{CONFIG_FILE} must be a readable JSON file: {error}"]
    misfits = [
        f"{list(shape)} for {name}, found {list(shapes[name]) if name in shapes else 'none'}"
        for name, shape in wanted.items()
        if shapes.get(name) != shape
    ]
    if wanted and layers != len(stored):
        misfits.append(f"{layers} layers, found {len(stored)}")
    # Tensors that do not fit would be made anew at random when the model is loaded.
    return [f"{WEIGHTS_FILE} does not fit {CONFIG_FILE}: wanted {misfit}" for misfit in misfits[:1]]


def _wanted_shapes(folder: Path) -> Shapes:
    """The tensors at both ends of a RobertaForSequenceClassification; none for another kind."""
    config = _config(folder)
    if config.get("model_type") != "roberta" or "vocab_size" not in config:
        return {}
    hidden = int(config.get("hidden_size", 768))
    return {
        "roberta.embeddings.word_embeddings.weight": (int(config["vocab_size"]), hidden),
        "classifier.out_proj.weight": (class_count(folder), hidden),
    }


def _changed_records(state: Path) -> list[str]:
    """Records of a torch file whose bytes differ from their CRC-32, which torch does not check."""
    if not zipfile.is_zipfile(state):
        return []  # torch's format before 2020 has no checksums
    name = None
    try:
        with zipfile.ZipFile(state) as archive:
            for name in archive.namelist():
                with archive.open(name) as record:
                    # zipfile compares the CRC-32 when a record has been read to its end.
                    while record.read(CHUNK_BYTES):
                        pass
    except (OSError, EOFError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        return [f"{state.name} is damaged: record {name}: {error}"]
    return []
