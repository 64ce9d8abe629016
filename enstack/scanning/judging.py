"""Judges the texts of functions with a model, and none twice: what was said of each is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from enstack.bundle.opening import OpenedModel
from enstack.bundle.profile import ScanningProfile
from enstack.duplicates.known_functions import Nearest
from enstack.duplicates.lexer import LONGEST
from enstack.progress.bars import Bar
from enstack.progress.quiet import quietly
from enstack.scanning.score_cache import ScoreCache, key_of
from enstack.storage.files import sha256_json

if TYPE_CHECKING:
    from enstack.bundle import TrainedModel

__all__ = ["Judge", "Judged"]

JUDGING_EDITION = 2  # raise when a text may get other numbers, so that no stored ones are used
TEXTS_AT_ONCE = 256
NO_FUNCTION = -1


@dataclass(frozen=True, eq=False)
class Judged:
    """What a model says of one text.

    probabilities: (k,) float32, calibrated, of the window that is most alarming; first: of the text
    as the model reads it, cut at its length. windows: how many cover the text; lines: the first and
    last line of the most alarming one, from 1. unread: whether characters behind LONGEST are in
    none. strange: why it is unlike training functions; near: the one that it is a copy of, nearly.
    """

    probabilities: np.ndarray
    first: np.ndarray
    windows: int
    lines: tuple[int, int]
    unread: bool
    strange: tuple[str, ...]
    near: Nearest | None


class Judge:
    """A model with the cache of what it has said; the model itself is loaded when it is needed.

    cache_dir: a folder, None for no cache on disk.
    """

    def __init__(self, opened: OpenedModel, cache_dir: Path | None) -> None:
        self.opened = opened
        self.digest = sha256_json([JUDGING_EDITION, opened.digest, self.profile.digest])
        path = None if cache_dir is None else cache_dir / "scores" / f"{self.digest}.scores"
        self.cache = ScoreCache(path, _kind(len(self.profile.class_names)))

    @property
    def profile(self) -> ScanningProfile:
        """What is known of the model without loading it."""
        return self.opened.profile

    @cached_property
    def model(self) -> TrainedModel:
        """The model, loaded and verified."""
        return self.opened.load()

    def knows(self, text: str) -> bool:
        """Whether a text was judged before."""
        return self.cache.get(key_of(text)) is not None

    def judge(self, texts: Sequence[str], bar: Bar) -> None:
        """Judge texts that were not judged before, part by part; bar: counts texts."""
        # Long ones together, as their windows fill batches; the longest first, as predictions do.
        ordered = sorted(dict.fromkeys(texts), key=len, reverse=True)
        for start in range(0, len(ordered), TEXTS_AT_ONCE):
            part = ordered[start : start + TEXTS_AT_ONCE]
            # What a part has cost is kept, whatever becomes of the next one.
            self.cache.add([key_of(text) for text in part], self._records(part))
            bar.advance(len(part))

    def judged(self, text: str) -> Judged:
        """What was said of a text that was judged."""
        record: Any = self.cache.get(key_of(text))
        near, familiar = None, self.profile.familiar
        if self.profile.known is not None and record["near"] != NO_FUNCTION:
            ids = self.profile.known.ids
            near = Nearest(str(ids[int(record["near"])]), float(record["similarity"]))
        return Judged(
            record["worst"],
            record["first"],
            int(record["windows"]),
            (int(record["lines"][0]), int(record["lines"][1])),
            bool(record["unread"]),
            () if familiar is None else familiar.strange(record["measures"]),
            near,
        )

    def _records(self, texts: Sequence[str]) -> np.ndarray:
        from enstack.models.windows import windows_of

        profile, records = self.profile, np.zeros(len(texts), _kind(len(self.profile.class_names)))
        windows = [windows_of(text, self.model.base_models, LONGEST) for text in texts]
        with quietly():
            said = self.model.predict_proba([part.text for of_one in windows for part in of_one])
        said = profile.calibrated(said)
        alarm, start = profile.rule.margins(said).max(axis=1), 0
        for row, of_one in enumerate(windows):
            parts = slice(start, start + len(of_one))
            # Of the whole first: a further window must be more alarming, not as much.
            worst = start + int(alarm[parts].argmax())
            records["first"][row], records["worst"][row] = said[start], said[worst]
            records["windows"][row] = len(of_one)
            records["lines"][row] = of_one[worst - start][1:]
            start += len(of_one)
        records["unread"] = [len(text) > LONGEST for text in texts]
        self._compare(texts, records)
        return records

    def _compare(self, texts: Sequence[str], records: np.ndarray) -> None:
        """Write how texts stand to training functions into their records."""
        records["near"] = NO_FUNCTION
        if self.profile.familiar is not None:
            records["measures"] = self.profile.familiar.measure(texts)
        if (known := self.profile.known) is None:
            return
        for row, nearest in enumerate(known.nearest(texts)):
            if nearest is not None:
                records["near"][row] = int(np.flatnonzero(known.ids == nearest.id)[0])
                records["similarity"][row] = nearest.similarity


def _kind(n_classes: int) -> np.dtype[np.void]:
    return np.dtype(
        [
            ("first", "<f4", (n_classes,)),
            ("worst", "<f4", (n_classes,)),
            ("windows", "<u4"),
            ("lines", "<u4", (2,)),
            ("unread", "?"),
            ("measures", "<f8", (3,)),
            ("similarity", "<f4"),
            ("near", "<i4"),
        ]
    )
