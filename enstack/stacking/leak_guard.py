"""Whether stored probabilities are of this run: its data, weights, tokenizer and configuration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from enstack.base_model_folder import BaseModelFolder, configuration_digest
from enstack.errors import CheckpointError
from enstack.progress.say import say
from enstack.storage.manifest import read_manifest

__all__ = ["refuse_foreign_files", "tell_unknown_origins"]

DIGITS = 12  # of a digest, for people


def refuse_foreign_files(
    folders: Sequence[BaseModelFolder], data: str, files: dict[tuple[str, str], dict[str, Any]]
) -> None:
    """Raise CheckpointError unless every file names the digests that this run's own would name.

    data: the fingerprint of the run's data; files: by base model and split, what each says of its
    origin. What a file does not
    name, as older ones, is not compared.
    """
    by_name = {folder.path.name: folder for folder in folders}
    faults = {
        f"{name}/{split}.npz": fault
        for (name, split), origin in files.items()
        if (fault := _fault(origin, _expected(by_name[name], split, data)))
    }
    if faults:
        told = "\n".join(f"  {file}: {fault}" for file, fault in faults.items())
        raise CheckpointError(
            "Probabilities must be made from the data, weights, tokenizer and configuration of "
            f"this run; {len(faults)} of {len(files)} files are not:\n{told}\nMove the "
            "probabilities folders of these base models elsewhere and run again: they are "
            "predicted anew."
        )


def tell_unknown_origins(files: dict[tuple[str, str], dict[str, Any]]) -> None:
    """Say of which base models the files are older than their digests."""
    unknown = sorted({name for (name, _), origin in files.items() if not origin})
    if unknown:
        say(
            f"   · {', '.join(unknown)}: probabilities that name no digests of their own; ids, "
            "seen marks and manifests are what the leak guard has of them"
        )


def _fault(found: dict[str, Any], expected: dict[str, Any]) -> str | None:
    """Which of the digests are others, in words."""
    other = [key for key in expected if key in found and found[key] != expected[key]]
    told = [f"{key} {_short(found[key])}, this run has {_short(expected[key])}" for key in other]
    return "; ".join(told) or None


def _expected(folder: BaseModelFolder, split: str, data: str) -> dict[str, Any]:
    """The digests of a split's file, as far as the base model's folder tells them."""
    made_from = (read_manifest(folder.probabilities) or {}).get("made_from", {})
    expected: dict[str, Any] = {"data": data}
    if made_from:
        expected["configuration"] = configuration_digest(made_from)
    tokenizer = (read_manifest(folder.best_model) or {}).get("made_from", {}).get("tokenizer")
    if tokenizer is not None:
        expected["tokenizer"] = tokenizer
    # Train is predicted by the models of the folds, everything else by the model of all of train.
    if split != "train" and "best_model" in made_from:
        expected["weights"] = [made_from["best_model"]]
    # A fold's model that is damaged since takes nothing away from what it has predicted.
    folds = [fold for fold in folder.folds if read_manifest(fold.best_model)]
    if split == "train" and folds and len(folds) == len(folder.folds):
        expected["weights"] = [fold.best_model_digest() for fold in folds]
    return expected


def _short(digest: object) -> str:
    listed = digest if isinstance(digest, list) else [digest]
    return " ".join(str(one)[:DIGITS] for one in listed)
