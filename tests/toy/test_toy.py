from __future__ import annotations

import re
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging as transformers_logging

from enstack.data.functions import VulnerabilityData, read_data
from enstack.data.labels import CWE_CLASSES
from enstack.errors import ConfigError
from enstack.storage.files import sha256_file
from enstack.toy.folder import write_toy
from enstack.toy.functions import BLOCKS, write_toy_data
from enstack.toy.tiny_models import make_tiny_models

NAMES = ["tiny-a", "tiny-b", "tiny-c"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_data(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def data(folder: Path) -> VulnerabilityData:
    return read_data(folder, label_mode="cwe_or_clean")


@pytest.fixture(scope="module")
def sources(data: VulnerabilityData) -> list[str]:
    texts: list[str] = data.splits["train"].sources.to_pylist()
    return texts


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, sources: list[str]) -> dict[str, Path]:
    return make_tiny_models(tmp_path_factory.mktemp("models"), sources)


@pytest.fixture(autouse=True)
def _quiet_loading() -> None:
    transformers_logging.disable_progress_bar()


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}


def test_the_files_have_the_keys_and_types_of_vdisc(folder: Path) -> None:
    with h5py.File(folder / "VDISC_train.hdf5") as file:
        assert set(file) == {"functionSource", *CWE_CLASSES}
        assert file["CWE-469"].dtype == bool
        assert h5py.check_string_dtype(file["functionSource"].dtype).encoding == "utf-8"
        assert isinstance(file["functionSource"][0], bytes)


def test_a_seed_gives_the_same_bytes_and_another_seed_others(folder: Path, tmp_path: Path) -> None:
    assert digests(write_toy_data(tmp_path / "again")) == digests(folder)
    assert digests(write_toy_data(tmp_path / "other", seed=1)) != digests(folder)


def test_sizes_can_be_chosen(tmp_path: Path) -> None:
    sizes = {"train": 60, "validation": 31, "test": 20}
    data = read_data(write_toy_data(tmp_path, sizes=sizes), label_mode="binary")
    assert {name: len(split) for name, split in data.splits.items()} == sizes


def test_every_class_is_in_every_split_and_some_functions_have_two_flaws(
    folder: Path, data: VulnerabilityData
) -> None:
    assert data.notes[0].startswith("train: ")
    for functions in data.splits.values():
        assert np.bincount(functions.labels, minlength=6).min() >= 10
    with h5py.File(folder / "VDISC_train.hdf5") as file:
        flags = np.column_stack([file[name][:] for name in CWE_CLASSES]).sum(axis=1)
    assert 0.08 < (flags > 1).sum() / (flags > 0).sum() < 0.22


def test_functions_start_at_their_name_and_their_braces_close(sources: list[str]) -> None:
    for source in sources:
        assert re.match(r"[a-z_]+\(", source)
        assert source.count("{") == source.count("}")
        assert not re.search(r"\{[bspqinkm]\}", source)  # every name was filled in
    commented = sum("/*" in source or "//" in source for source in sources)
    assert 0.4 < commented / len(sources) < 0.6


def test_no_function_occurs_twice(data: VulnerabilityData) -> None:
    texts = [text for split in data.splits.values() for text in split.sources.to_pylist()]
    assert len(set(texts)) == len(texts)


def test_safe_and_unsafe_differ_in_every_block() -> None:
    for block in (block for blocks in BLOCKS.values() for block in blocks):
        assert block.safe != block.unsafe


def test_a_flaw_s_line_is_the_first_that_a_safe_function_would_have_otherwise(
    data: VulnerabilityData,
) -> None:
    flaws = [one.unsafe.split("\n")[one.flaw_line] for kind in BLOCKS.values() for one in kind]
    named = [re.escape(flaw.format_map(defaultdict(lambda: "@")).strip()) for flaw in flaws]
    flawed = re.compile("|".join(named).replace("@", r"\w+"))
    for functions in data.splits.values():
        marks, rows = functions.flaw_lines.to_pylist(), range(len(functions))
        for row, text in zip(rows, functions.sources.to_pylist(), strict=True):
            lines = text.split("\n")
            assert all(flawed.fullmatch(lines[line - 1].strip()) for line in marks[row])
        # Labels are wrong at times, the lines are not.
        wrong = [row for row in rows if bool(marks[row]) != (functions.labels[row] < 5)]
        assert 0 < len(wrong) < 0.06 * len(functions)


def test_word_counts_alone_do_not_solve_the_toy_data(data: VulnerabilityData) -> None:
    train, test = data.splits["train"], data.splits["test"]
    words = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\w+|[^\w\s]", sublinear_tf=True)
    model = LogisticRegression(C=10, max_iter=1000)
    model.fit(words.fit_transform(train.sources.to_pylist()), train.labels)
    predictions = model.predict(words.transform(test.sources.to_pylist()))
    assert 0.45 < accuracy_score(test.labels, predictions) < 0.8


def test_writing_toy_data_imports_no_torch() -> None:
    code = "import sys, enstack.toy.functions; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_tiny_models_lie_as_on_the_hub(models: dict[str, Path]) -> None:
    assert list(models) == NAMES
    for path in models.values():
        files = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
        assert files <= {file.name for file in path.iterdir()}


@pytest.mark.parametrize("name", NAMES)
def test_a_tiny_model_classifies_a_padded_batch(
    models: dict[str, Path], sources: list[str], name: str
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(models[name], trust_remote_code=False)
    model = AutoModelForSequenceClassification.from_pretrained(
        models[name], num_labels=6, trust_remote_code=False
    )
    longest = sorted(sources, key=len)[-1]
    batch = tokenizer(
        [sources[0], longest], padding=True, truncation=True, max_length=512, return_tensors="pt"
    )
    assert batch["input_ids"].shape[1] == 512
    assert batch["input_ids"][:, 0].tolist() == [tokenizer.cls_token_id] * 2
    assert model(**batch).logits.shape == (2, 6)


@pytest.mark.parametrize("name", NAMES)
def test_a_tokenizer_gives_back_what_it_read(
    models: dict[str, Path], sources: list[str], name: str
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(models[name], trust_remote_code=False)
    text = sources[3] + ' puts("café");'
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.unk_token_id not in ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_only_tiny_c_has_the_encoder_only_token(models: dict[str, Path]) -> None:
    tokenizers = {
        name: AutoTokenizer.from_pretrained(path, trust_remote_code=False)
        for name, path in models.items()
    }
    holders = [name for name, tok in tokenizers.items() if "<encoder-only>" in tok.get_vocab()]
    assert holders == ["tiny-c"]
    mode = tokenizers["tiny-c"].convert_tokens_to_ids("<encoder-only>")
    assert tokenizers["tiny-c"]("<encoder-only>")["input_ids"][1:-1] == [mode]


def test_the_vocabularies_differ_and_fit_the_embeddings(models: dict[str, Path]) -> None:
    sizes = []
    for path in models.values():
        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
        model = AutoModelForSequenceClassification.from_pretrained(
            path, num_labels=2, trust_remote_code=False
        )
        assert model.config.vocab_size == len(tokenizer)
        sizes.append(len(tokenizer))
    assert len(set(sizes)) == 3
    assert min(sizes) >= 600
    assert max(sizes) <= 1200


@pytest.mark.slow
def test_tiny_models_are_the_same_in_another_interpreter(
    models: dict[str, Path], folder: Path, tmp_path: Path
) -> None:
    code = (
        "import sys; from pathlib import Path; from enstack.data.functions import read_data;"
        "from enstack.toy.tiny_models import make_tiny_models;"
        "d = read_data(Path(sys.argv[1]), label_mode='cwe_or_clean');"
        "make_tiny_models(Path(sys.argv[2]), d.splits['train'].sources.to_pylist())"
    )
    subprocess.run([sys.executable, "-c", code, str(folder), str(tmp_path)], check=True)
    assert digests(tmp_path) == digests(models["tiny-a"].parent)


def test_making_tiny_models_leaves_the_global_generator_alone(
    sources: list[str], tmp_path: Path
) -> None:
    before = torch.random.get_rng_state()
    make_tiny_models(tmp_path, sources[:50])
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_second_call_touches_nothing_and_a_damaged_model_is_made_again(
    sources: list[str], tmp_path: Path
) -> None:
    paths = make_tiny_models(tmp_path, sources[:50])
    first = digests(tmp_path)
    times = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}
    make_tiny_models(tmp_path, iter(sources[:50]))
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")} == times
    weights = paths["tiny-b"] / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    make_tiny_models(tmp_path, sources[:50])
    assert digests(tmp_path) == first


def test_other_sources_make_other_tokenizers(sources: list[str], tmp_path: Path) -> None:
    path = make_tiny_models(tmp_path, sources[:50])["tiny-a"]
    before = sha256_file(path / "tokenizer.json")
    make_tiny_models(tmp_path, sources[50:100])
    assert sha256_file(path / "tokenizer.json") != before


@pytest.mark.slow
def test_a_tiny_model_learns_the_toy_data_in_five_epochs(
    models: dict[str, Path], folder: Path
) -> None:
    data = read_data(folder)
    train, test = data.splits["train"], data.splits["test"]
    started = time.process_time()
    predictions = fine_tune_and_predict(models["tiny-a"], train, test)
    majority = np.bincount(test.labels).max() / len(test)
    assert majority + 0.15 < (predictions == test.labels).mean() < 1
    assert time.process_time() - started < 60  # of one core, and about 10 where it is idle


def fine_tune_and_predict(path: Path, train, test) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Five epochs of AdamW over batches of like length, as the trainer makes them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
        model = AutoModelForSequenceClassification.from_pretrained(
            path, num_labels=5, trust_remote_code=False
        )
        ids = tokenizer(train.sources.to_pylist(), truncation=True, max_length=512)["input_ids"]
        by_length = np.argsort([len(tokens) for tokens in ids], kind="stable")
        batches = np.array_split(by_length, len(ids) // 16)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        random = np.random.RandomState(0)
        model.train()
        for place in [place for _ in range(5) for place in random.permutation(len(batches))]:
            batch = tokenizer.pad(
                {"input_ids": [ids[row] for row in batches[place]]}, return_tensors="pt"
            )
            model(**batch, labels=torch.tensor(train.labels[batches[place]])).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
        model.eval()
        batch = tokenizer(
            test.sources.to_pylist(), padding=True, truncation=True, return_tensors="pt"
        )
        with torch.no_grad():
            logits = [
                model(input_ids=i, attention_mask=m).logits
                for i, m in zip(
                    batch["input_ids"].split(16), batch["attention_mask"].split(16), strict=True
                )
            ]
    torch.set_num_threads(threads)
    return torch.cat(logits).argmax(dim=1).numpy()


@pytest.mark.parametrize("seed", [-7, 2**32])
def test_a_seed_that_no_run_takes_is_refused_with_the_range(seed: int, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"seed must be 0 to 4,294,967,295, found"):
        write_toy(tmp_path / "toy", seed=seed)
    assert not (tmp_path / "toy").exists()
