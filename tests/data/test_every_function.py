"""No function is lost in silence: it is in one split, or dropped for a reason that is counted."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from enstack.base_model_folder import save_probabilities
from enstack.batches import EpochBatches
from enstack.config import RunConfig
from enstack.data import formats
from enstack.data.functions import read_data
from enstack.data.holdout import plan_splits
from enstack.data.split_files import SPLITS
from enstack.data.subsets import choose
from enstack.errors import DataError
from enstack.models.tokens import LabelledTokens, tokenize
from enstack.run_folder import RunFolder
from enstack.stacking.meta_features import BaseModelProbabilities
from enstack.stacking.stack import fit_meta_classifier
from enstack.stacking.stage import stack_base_models
from enstack.toy.fake_vdisc import write_fake_vdisc
from tests.support.data_files import write_hdf5

pytestmark = pytest.mark.long

REASONS = {"no flag", "no text", "not in the subset"}
STRICT = {*REASONS, "several flags"}
texts = st.sampled_from([b"", b" \n", b"f() { }", b"g(int a)\r\n{\r\n}", b"h() { /* \xe9 */ }"])
rows = st.tuples(texts, st.lists(st.booleans(), min_size=5, max_size=5))
files = st.tuples(*[st.lists(rows, min_size=1, max_size=25)] * 3)
modes = st.sampled_from(
    [
        ("cwe", "priority"),
        ("cwe", "strict_single"),
        ("cwe_or_clean", "priority"),
        ("cwe_or_clean", "strict_single"),
        ("binary", "priority"),
        ("multilabel", "priority"),
    ]
)
subsets = st.one_of(st.sampled_from(["all", "paper"]), st.integers(1, 30))


def write(folder: Path, splits: Any) -> Path:
    for split, functions in zip(SPLITS, splits, strict=True):
        flags = np.array([flags for _, flags in functions])
        write_hdf5(folder, split, [text for text, _ in functions], flags)
    return folder


def reason_of(text: bytes, flags: list[bool], label_mode: str, label_rule: str) -> str | None:
    """Why a function can't be in any split, in words of this test's own."""
    if label_mode == "cwe" and not any(flags):
        return "no flag"
    if label_rule == "strict_single" and sum(flags) > 1:
        return "several flags"
    return None if text.strip() else "no text"


@settings(
    max_examples=settings().max_examples // 2,
    suppress_health_check=[HealthCheck.filter_too_much],
)
@given(splits=files, mode=modes, subset=subsets, seed=st.integers(0, 3), cached=st.booleans())
def test_every_function_is_in_one_split_or_dropped_for_a_counted_reason(
    splits: Any, mode: tuple[str, str], subset: Any, seed: int, cached: bool
) -> None:
    label_mode, label_rule = mode
    assume(subset != "paper" or label_mode == "cwe")
    # Several batches a file, so that rows are counted across them.
    with tempfile.TemporaryDirectory() as name, mock.patch.object(formats, "BATCH_ROWS", 4):
        folder = write(Path(name), splits)
        cache_dir = folder / "cache" if cached else None
        try:
            data = read_data(
                folder,
                label_mode=label_mode,
                label_rule=label_rule,
                subset=subset,
                seed=seed,
                cache_dir=cache_dir,
            )
        except DataError:
            assume(False)  # a file without any function to use, or of one class: refused aloud
        for split, functions in zip(SPLITS, splits, strict=True):
            reasons = [reason_of(text, flags, label_mode, label_rule) for text, flags in functions]
            usable = {f"{split}/{row}" for row, reason in enumerate(reasons) if reason is None}
            kept, dropped = data.splits[split].ids.tolist(), data.dropped[split]
            assert len(set(kept)) == len(kept)
            assert set(kept) <= usable
            assert dropped == {
                **{reason: reasons.count(reason) for reason in dropped},
                "not in the subset": len(usable) - len(kept),
            }
            assert set(dropped) == (STRICT if label_rule == "strict_single" else REASONS)
            assert len(kept) + sum(dropped.values()) == len(functions)
            if subset == "all":
                assert set(kept) == usable
            noted = " ".join(note for note in data.notes if note.startswith(split))
            assert all(f"{count:,} " in noted for count in dropped.values() if count)


@settings(max_examples=settings().max_examples // 4)
@given(n=st.integers(10, 60), batch_size=st.integers(1, 9), seed=st.integers(0, 2**32 - 1))
def test_ids_stay_with_their_functions_through_subset_cache_buckets_and_shuffling(
    n: int, batch_size: int, seed: int, fake: Path, micro_tokenizer_here: Any
) -> None:
    with tempfile.TemporaryDirectory() as cache_name:
        cache = Path(cache_name)
        whole = read_data(fake, label_mode="binary").splits["train"]
        texts = dict(zip(whole.ids.tolist(), whole.sources.to_pylist(), strict=True))
        for _ in range(2):  # the second time from the caches
            data = read_data(fake, label_mode="binary", subset=n, seed=seed, cache_dir=cache)
            train = data.splits["train"]
            tokens = tokenize(
                train, micro_tokenizer_here, max_length=64, cache_dir=cache, title="t"
            )
            examples = LabelledTokens(tokens, train.labels, train.ids)
            seen = []
            for batch in EpochBatches(tokens.lengths, batch_size, seed=seed, epoch=1):
                for row, example in zip(batch, examples.__getitems__(batch), strict=True):
                    text = texts[str(examples.ids[row])]
                    ids = micro_tokenizer_here(text, truncation=True, max_length=64)["input_ids"]
                    assert example["input_ids"].tolist() == ids
                    seen.append(str(examples.ids[row]))
            assert sorted(seen) == sorted(train.ids.tolist())


def opinion(name: str, ids: np.ndarray) -> BaseModelProbabilities:
    """What a base model says if it goes by nothing but a function's id: (n, 2)."""
    texts = [f"{name} of {each}".encode() for each in ids]
    shares = np.array([hashlib.sha256(text).digest()[0] / 256 for text in texts], np.float32)
    unseen = np.zeros(len(ids), dtype=bool)
    return BaseModelProbabilities(name, ids, np.stack([1 - shares, shares], axis=1), unseen)


@settings(max_examples=settings().max_examples // 8)
@given(
    n=st.integers(40, 90),
    seed=st.integers(0, 2**32 - 1),
    division=st.sampled_from(["holdout", "out_of_fold"]),
)
def test_a_stack_learns_and_says_of_an_id_what_belongs_to_that_id(
    n: int, seed: int, division: str, fake: Path
) -> None:
    names = ("one", "two")
    with tempfile.TemporaryDirectory() as name:
        run_dir, whole = Path(name) / "run", read_data(fake, label_mode="binary")
        label_of = {
            str(each): int(label)
            for split in whole.splits.values()
            for each, label in zip(split.ids, split.labels, strict=True)
        }
        data = read_data(fake, label_mode="binary", subset=n, seed=seed)
        for model, (split, functions) in ((m, s) for m in names for s in data.splits.items()):
            place = run_dir / "base_models" / model / "probabilities"
            place.mkdir(parents=True, exist_ok=True)
            said = opinion(model, functions.ids)
            save_probabilities(place / f"{split}.npz", said.ids, said.probabilities, said.seen, {})
        config = RunConfig(base_models=list(names), meta_classifiers=["lr"], seed=seed)
        plan = plan_splits(data, meta_features=division, folds=5, seed=seed)
        stack_base_models(data, plan, config, RunFolder(run_dir))
        with np.load(run_dir / "stacking" / "test_probabilities.npz") as stored:
            found = dict(stored)
    ids, meta_ids = found["ids"], data.splits[plan.meta_split].ids[plan.meta_rows]
    assert sorted(ids) == sorted(data.splits["test"].ids)
    assert found["labels"].tolist() == [label_of[each] for each in ids]
    for model in names:
        np.testing.assert_array_equal(found[f"base:{model}"], opinion(model, ids).probabilities)
    # The same stack from nothing but ids: what was fitted had the labels of its own rows.
    labels = np.array([label_of[each] for each in meta_ids])
    fitted = fit_meta_classifier(
        "lr", [opinion(model, meta_ids) for model in names], labels, task=data.task, seed=seed
    )
    said = fitted.predict_proba([opinion(model, ids) for model in names], data.task)
    np.testing.assert_allclose(found["stack:lr"], said, atol=1e-6)


@pytest.fixture(scope="module")
def fake(tmp_path_factory: Any) -> Path:
    """A stand-in for VDISC that every example reads."""
    return write_fake_vdisc(tmp_path_factory.mktemp("fake"), 800, seed=3)


@pytest.fixture(scope="module")
def micro_tokenizer_here(micro_tokenizer: Any) -> Any:
    """The same for every example, which hypothesis wants to be said."""
    return micro_tokenizer


SUBSET = """
import json, sys
from pathlib import Path
from enstack.data.functions import read_data

for label_mode in ("cwe", "cwe_or_clean", "binary"):
    data = read_data(Path(sys.argv[1]), label_mode=label_mode, subset=20, seed=5)
    print(json.dumps([data.fingerprint, *(s.ids.tolist() for s in data.splits.values())]))
"""


def test_the_same_seed_gives_the_same_subset_in_another_process(tmp_path: Path) -> None:
    folder = write_fake_vdisc(tmp_path, 2000)
    done = subprocess.run(
        [sys.executable, "-c", SUBSET, str(folder)], capture_output=True, text=True, check=True
    )
    elsewhere = [json.loads(line) for line in done.stdout.splitlines()]
    for label_mode, found in zip(("cwe", "cwe_or_clean", "binary"), elsewhere, strict=True):
        data = read_data(folder, label_mode=label_mode, subset=20, seed=5)
        assert found == [data.fingerprint, *(s.ids.tolist() for s in data.splits.values())]
        other = read_data(folder, label_mode=label_mode, subset=20, seed=6)
        assert other.splits["train"].ids.tolist() != found[1]


@pytest.mark.parametrize(
    ("subset", "digest"),
    [(500, "f50b4dd67609ca3a"), ("paper", "d9779ee0c3ce28f4")],
)
def test_a_seed_draws_what_it_has_always_drawn_on_any_machine(subset: Any, digest: str) -> None:
    labels = np.repeat(np.arange(5), [7000, 6000, 300, 3000, 6000])[::-1]
    chosen = choose(labels, subset, "train", [42, 0])
    assert hashlib.sha256(chosen.astype("<i8").tobytes()).hexdigest()[:16] == digest
