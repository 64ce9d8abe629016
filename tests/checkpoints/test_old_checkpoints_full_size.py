"""Old checkpoints, whole and damaged: small ones, and RoBERTa-base in the slow lane."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file
from transformers import RobertaConfig, RobertaForSequenceClassification

from enstack.batches import EpochBatches, count_batch
from enstack.checkpoints import state_file
from enstack.checkpoints.inspection import inspect_path
from enstack.checkpoints.inspection_text import verdict_text
from enstack.checkpoints.old_checkpoints import find_old_checkpoint
from enstack.errors import CheckpointError
from enstack.metrics.one_class import OneClass
from enstack.models.base_models import BaseModel
from enstack.models.tokens import LabelledTokens, Tokens
from enstack.training import trainer
from enstack.training.job import TrainingData
from enstack.training.optimizer import learning_rates
from enstack.training.state import TrainingState
from enstack.training.trainer import train_base_model
from tests.support.training import Killed, job_of, record_reads, train_config

BASE = RobertaConfig(
    vocab_size=50265, max_position_embeddings=514, type_vocab_size=1, num_labels=5
)  # fmt: skip
FEW = {"vocab_size": 1000, "hidden_size": 96, "intermediate_size": 96}
MICRO = RobertaConfig(**{**BASE.to_dict(), **FEW, "num_hidden_layers": 2, "num_attention_heads": 2})
SIZES = {"small": MICRO, "full": BASE}
slow_at_full_size = pytest.param("full", marks=pytest.mark.slow)
at_full_size_alone = pytest.mark.parametrize("full", [slow_at_full_size], indirect=True)
SMALL = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
CLASSES = ("CWE-119", "CWE-120", "CWE-469", "CWE-476", "CWE-other")
FUNCTIONS, BATCHES = 20_305, 1270
WEIGHTS, STATE = "model.safetensors", "training_state.pth"


def moments_of(shapes: list[torch.Size], make: Callable[..., torch.Tensor]) -> dict[int, Any]:
    return {
        place: {
            "step": torch.tensor(997.0),
            "exp_avg": make(shape, 1e-4 * place),
            "exp_avg_sq": make(shape, 1e-8 * place),
        }
        for place, shape in enumerate(shapes)
    }


def as_one_number(shape: torch.Size, value: float) -> torch.Tensor:
    """A tensor that torch.save stores in four bytes."""
    return torch.full((1,), value).expand(shape)


def old_state(slots: dict[int, Any], **changes: Any) -> dict[str, Any]:
    """The documented keys, as the program before wrote them at batch 1,000 of epoch 1."""
    group = {"lr": 1e-5, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01}
    flags = dict.fromkeys(("amsgrad", "maximize", "capturable", "differentiable"), False)
    group |= {**flags, "foreach": None, "fused": None, "params": list(slots)}
    state = {
        "optimizer_state_dict": {"state": slots, "param_groups": [group]},
        "scheduler_state_dict": {"last_epoch": 1000, "_step_count": 1001, "_last_lr": [1e-5]},
        "scaler_state_dict": {"scale": 8192.0, "growth_factor": 2.0, "_growth_tracker": 3},
        "best_val_f1": np.float64(0.71),
        "best_val_acc": np.float64(0.74),
        "epoch": 1,
        "step": 1000,
        "total_batches": BATCHES,
        **changes,
    }
    return {key: value for key, value in state.items() if value is not None}


@dataclass(frozen=True)
class FullSize:
    """An old run's folder with one checkpoint, and the shapes of its parameters in order."""

    run: Path
    shapes: list[torch.Size]

    @property
    def last(self) -> Path:
        return self.run / "codebert" / "last_checkpoint"

    def copy(self, folder: Path, slots: dict[int, Any] | None = None, **changes: Any) -> Path:
        """Another checkpoint with the same weights file and a state of few bytes."""
        folder.mkdir(parents=True)
        os.link(self.last / WEIGHTS, folder / WEIGHTS)
        shutil.copy(self.last / "config.json", folder)
        slots = slots or moments_of(self.shapes, as_one_number)
        torch.save(old_state(slots, **changes), folder / STATE)
        return folder


@pytest.fixture(scope="module", params=["small", slow_at_full_size])
def full(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FullSize]:
    """A few MiB, or 1.4 GiB in the slow lane: made once and removed at the end."""
    run = tmp_path_factory.mktemp("old")
    model = RobertaForSequenceClassification(SIZES[request.param])
    made = FullSize(run, [parameter.shape for parameter in model.parameters()])
    model.save_pretrained(made.last)
    torch.save(old_state(moments_of(made.shapes, torch.full)), made.last / STATE)
    del model
    yield made
    shutil.rmtree(run)


@pytest.fixture
def place(full: FullSize) -> Iterator[Path]:
    """A folder on the same disk, for hard links; big files do not outlive their test."""
    folder = full.run.with_name("variant")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def short_functions() -> TrainingData:
    rng = np.random.default_rng(0)
    lengths = rng.integers(4, 9, FUNCTIONS).astype(np.int32)
    rows = Dataset.from_dict({"input_ids": [[5] * n for n in lengths]}).with_format("numpy")
    labels = rng.integers(0, 5, FUNCTIONS)
    train = LabelledTokens(Tokens(rows, lengths, 0, "short"), labels, np.arange(FUNCTIONS))
    return TrainingData(train, train.take(np.arange(50)), OneClass(CLASSES), "short functions")


GOES_ON = {
    "valid": True,
    "epoch_complete": False,
    "resume_epoch": 1,
    "resume_step": 1000,
    "remaining_batches": 270,
    "optimizer_steps": 997,
    "skipped_optimizer_steps": 3,
}
NOTHING_KNOWN = dict.fromkeys(GOES_ON) | {"valid": False}
USUAL_NOTES = ("fp16 loss scaling skipped 3", "old order of functions", "best epoch is chosen anew")
IS_COMPLETE = {"epoch_complete": True, "resume_step": 0, "remaining_batches": BATCHES}


@at_full_size_alone
def test_the_files_have_the_documented_sizes(full: FullSize) -> None:
    assert round((full.last / WEIGHTS).stat().st_size / 2**20, 1) == 475.5
    assert round((full.last / STATE).stat().st_size / 2**20, 1) == 951.2


@at_full_size_alone
def test_a_full_size_old_checkpoint_goes_on_at_batch_1000_and_reads_nothing_before_it(
    full: FullSize,
    short_functions: TrainingData,
    micro_tokenizer: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    trained: list[TrainingState] = []

    def stop_at_second(training: TrainingState, batch: Any, groups: Any) -> None:
        trained.append(training)
        if len(trained) == 2:
            raise Killed
        training.progress.segments = count_batch(training.progress.segments, 16)

    before = _untouched(full.run)
    read = record_reads(monkeypatch)
    monkeypatch.setattr(trainer, "train_batch", stop_at_second)
    config = train_config(tmp_path, epochs=10, batch_size=16, save_steps=500, label_mode="cwe")
    parts = BaseModel("codebert", "microsoft/codebert-base"), micro_tokenizer, short_functions
    with pytest.raises(Killed):
        train_base_model(job_of(parts, config, old_runs=full.run))
    out = capsys.readouterr().out
    assert "⏭️  Resuming: will skip 1000 batches (fast-forward), train 270 batches\n" in out
    assert "997 optimizer steps for 1,000 batches: fp16 loss scaling skipped 3" in out
    order = list(EpochBatches(short_functions.train.lengths, 16, seed=config.seed, epoch=1))
    assert len(order) == BATCHES
    assert read == order[1000:1002]
    _assert_imported(trained[0], full)
    assert _untouched(full.run) == before


def _untouched(folder: Path) -> dict[str, tuple[int, int]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


def _assert_imported(training: TrainingState, full: FullSize) -> None:
    """Weights and moments are those of the files; the learning rate is that of step 997."""
    weights = training.model.state_dict()
    stored = load_file(full.last / WEIGHTS)
    assert weights.keys() == stored.keys()
    assert all(torch.equal(weights[name], tensor) for name, tensor in stored.items())
    optimizer = training.optimizer
    assert (optimizer.applied_steps(), optimizer.attempted) == (997, 1000)
    slots = list(optimizer.adamw.state.values())
    assert [slot["exp_avg"].shape for slot in slots] == full.shapes
    for place, slot in enumerate(slots):
        assert slot["exp_avg"].flatten()[-1] == torch.tensor(1e-4 * place)
        assert slot["exp_avg_sq"].flatten()[0] == torch.tensor(1e-8 * place)
    rates = learning_rates(10 * BATCHES, peak=1e-3, warmup_ratio=0.1, scheduler="linear")
    assert optimizer.next_rate() == float(rates[997])


@at_full_size_alone
def test_inspect_gives_the_guides_verdict_on_a_full_size_old_checkpoint(full: FullSize) -> None:
    before = _untouched(full.run)
    told = subprocess.run(
        [sys.executable, "-m", "enstack", "inspect", "--json", str(full.last)],
        capture_output=True,
        text=True,
    )
    verdict = json.loads(told.stdout)
    assert (told.returncode, told.stderr) == (0, "")
    assert {name: verdict[name] for name in GOES_ON} == GOES_ON
    assert (verdict["layout"], verdict["problems"]) == ("legacy", [])
    assert (verdict["epoch"], verdict["step"], verdict["total_batches"]) == (1, 1000, BATCHES)
    assert verdict_text(inspect_path(full.last)).splitlines() == [
        f"✅ {full.last}",
        "   a checkpoint of the older program, saved at epoch 1, step 1000 of 1270",
        "   weights 475.5 MiB, training state 951.2 MiB",
        "   997 optimizer steps, about 1,000: 3 skipped by fp16 loss scaling, which is healthy",
        "   whole as far as can be told: the weights are complete and finite, the training "
        "state's checksums match (old weights have none)",
        "   note: The old order of functions was not stored: in epoch 1 some may come twice and "
        "some not at all; from epoch 2 on the order is exact.",
        "   note: The best epoch is chosen anew from here on; the old best_model is left alone.",
        "   Nothing needs to be trained again: run the pipeline with "
        f"resume_from={full.last}, and it goes on at epoch 1, batch 1000; 270 batches of that "
        "epoch to train.",
    ]
    assert _untouched(full.run) == before


@dataclass(frozen=True)
class Variant:
    """A checkpoint that is odd or damaged, and what must be said of it.

    changes: of the state; spoil: of the folder afterwards; verdict: what differs from GOES_ON;
    problem: of the verdict, refused: of the import, each as a pattern; told: by the import.
    """

    changes: dict[str, Any] = field(default_factory=dict)
    spoil: Callable[[Path], None] = lambda folder: None
    name: str = "last_checkpoint"
    verdict: dict[str, Any] = field(default_factory=dict)
    problem: str | None = None
    refused: str | None = None
    told: str | None = None


def cut(name: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        whole = folder / name
        _unlink_from(whole)
        os.truncate(whole, whole.stat().st_size // 2)

    return spoil


def _unlink_from(shared: Path) -> None:
    """Put a copy in the place of a link to the file that all variants share."""
    shutil.copy(shared, shared.with_name("copy"))
    shared.with_name("copy").replace(shared)


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def put_number(value: float) -> Callable[[Path], None]:
    """Overwrite one number in the middle of a copy of the weights."""

    def spoil(folder: Path) -> None:
        whole = folder / WEIGHTS
        _unlink_from(whole)
        with whole.open("r+b") as file:
            file.seek(whole.stat().st_size // 8 * 4)
            file.write(np.float32(value).tobytes())

    return spoil


def zero_a_block(folder: Path) -> None:
    """4 KiB of zeros inside the moments, as a lost page of a copy leaves them."""
    slots = moments_of(_shapes(folder), as_one_number)
    slots[5]["exp_avg"] = torch.ones(slots[5]["exp_avg"].shape)
    torch.save(old_state(slots), folder / STATE)
    with zipfile.ZipFile(folder / STATE) as archive:
        record = max(archive.infolist(), key=lambda record: record.file_size)
    with (folder / STATE).open("r+b") as file:
        file.seek(record.header_offset + record.file_size // 2)
        file.write(bytes(4096))
    assert state_file.read_state(folder)["epoch"] == 1, "torch does not notice"


def _shapes(folder: Path) -> list[torch.Size]:
    slots = state_file.read_state(folder)["optimizer_state_dict"]["state"]
    return [slot["exp_avg"].shape for slot in slots.values()]


def applied(steps: int) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        state = state_file.read_state(folder)
        for slot in state["optimizer_state_dict"]["state"].values():
            slot["step"] = torch.tensor(float(steps))
        torch.save(state, folder / STATE)

    return change


def pickled_under(numpy: str) -> Callable[[Path], None]:
    """Name numpy's modules as its line 1 or 2 does, whichever is installed here."""

    def change(folder: Path) -> None:
        with zipfile.ZipFile(folder / STATE) as archive:
            records = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(folder / STATE, "w") as archive:
            for name, data in records.items():
                found = re.sub(rb"numpy\._?core\.multiarray", numpy.encode(), data)
                archive.writestr(name, found if name.endswith("data.pkl") else data)
                assert name.endswith("data.pkl") == (numpy.encode() in found)

    return change


class Malicious:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch executed",)


def poison(folder: Path) -> None:
    torch.save(old_state({}, epoch=Malicious()), folder / STATE)


def replace_state(value: Any) -> Callable[[Path], None]:
    return lambda folder: torch.save(value, folder / STATE)


def configure(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **changes}))

    return change


def small_model(n_classes: int, *, own_state: bool) -> Callable[[Path], None]:
    """Weights of a small RoBERTa instead, with the moments of the big one or its own."""

    def change(folder: Path) -> None:
        config = RobertaConfig(**{**BASE.to_dict(), **SMALL, "num_labels": n_classes})
        model = RobertaForSequenceClassification(config)
        (folder / WEIGHTS).unlink()
        model.save_pretrained(folder)
        if own_state:
            slots = moments_of([p.shape for p in model.parameters()], as_one_number)
            torch.save(old_state(slots), folder / STATE)

    return change


VARIANTS = {
    "weights cut": Variant(
        spoil=cut(WEIGHTS),
        problem=r"^model\.safetensors is damaged: its [\d,]+ bytes are not what its header",
        refused=r"model\.safetensors is damaged: its [\d,]+ bytes",
    ),
    "weights missing": Variant(
        spoil=remove(WEIGHTS),
        problem=r"^model\.safetensors is missing$",
        refused=r"model\.safetensors is missing\.",
    ),
    "config missing": Variant(
        spoil=remove("config.json"),
        problem=r"^config\.json is missing$",
        refused=r"config\.json is missing\.",
    ),
    "state missing": Variant(
        spoil=remove(STATE),
        verdict=NOTHING_KNOWN,
        problem=r"^training_state\.pth is missing$",
        refused=r"training_state\.pth is missing\.",
    ),
    "state cut": Variant(
        spoil=cut(STATE),
        verdict=NOTHING_KNOWN,
        problem=r"training_state\.pth can't be read: ",
        refused=r"training_state\.pth can't be read: ",
    ),
    "4 KiB of the state zeroed": Variant(
        spoil=zero_a_block,
        problem=r"^training_state\.pth is damaged: record \S+/data/\d+: Bad CRC-32",
        refused=r"training_state\.pth is damaged: record \S+/data/\d+: Bad CRC-32",
    ),
    "step 0, the epoch is complete": Variant(
        changes={"step": 0, "scheduler_state_dict": {"last_epoch": BATCHES}},
        spoil=applied(1267),
        verdict={**IS_COMPLETE, "resume_epoch": 2, "optimizer_steps": 1267},
    ),
    "step beyond the epoch's end": Variant(
        changes={"epoch": 2, "step": 1271},
        spoil=applied(2540),
        verdict={
            **IS_COMPLETE,
            "resume_epoch": 3,
            "optimizer_steps": 2540,
            "skipped_optimizer_steps": 0,
        },
    ),
    "total_batches missing": Variant(
        changes={"total_batches": None},
        verdict={"remaining_batches": None},
        told="How many batches its epoch had is not stored; the data tells.",
    ),
    "total_batches 0, in epoch 2": Variant(
        changes={"total_batches": 0, "epoch": 2},
        spoil=applied(2266),
        verdict={
            "resume_epoch": 2,
            "remaining_batches": None,
            "optimizer_steps": 2266,
            "skipped_optimizer_steps": None,
        },
        told="How many batches its epoch had is not stored; the data tells.",
    ),
    "name and state disagree": Variant(
        name="checkpoint_epoch2_step500",
        told="The folder's name says epoch 2, step 500; the state inside says epoch 1, step 1000",
    ),
    "doubled schedule": Variant(
        changes={"scheduler_state_dict": {"last_epoch": 2000, "_last_lr": [3e-6]}},
        told="had run ahead, to step 2,000 with 1,000 done: put right",
    ),
    "no step skipped": Variant(
        spoil=applied(1000), verdict={"optimizer_steps": 1000, "skipped_optimizer_steps": 0}
    ),
    "two batches to a step": Variant(
        spoil=applied(500),
        verdict={"optimizer_steps": 500, "skipped_optimizer_steps": None},
        told="about 2 batches were accumulated for each; accumulation_steps=2 goes on like that",
    ),
    "more steps than batches": Variant(
        spoil=applied(1500),
        verdict={"optimizer_steps": 1500, "skipped_optimizer_steps": None},
        told="1,500 optimizer steps for 1,000 batches: some were trained twice",
    ),
    "empty optimizer": Variant(
        spoil=replace_state(old_state({})),
        verdict={"optimizer_steps": 0, "skipped_optimizer_steps": None},
        told="0 optimizer steps for 1,000 batches: the optimizer's moments are lost",
    ),
    "numpy 1": Variant(spoil=pickled_under("numpy.core.multiarray")),
    "numpy 2": Variant(spoil=pickled_under("numpy._core.multiarray")),
    "malicious pickle": Variant(
        spoil=poison,
        verdict=NOTHING_KNOWN,
        problem=r"it names posix\.system; .*nothing in it was executed$",
        refused=r"it names posix\.system; .*nothing in it was executed\.",
    ),
    "state is a list": Variant(
        spoil=replace_state([1, 1000]),
        verdict=NOTHING_KNOWN,
        problem=r"must hold a dictionary, found list$",
        refused=r"must hold a dictionary, found list\.",
    ),
    "state without an optimizer": Variant(
        changes={"optimizer_state_dict": None},
        verdict=NOTHING_KNOWN,
        problem=r"lacks what training needs: KeyError\('optimizer_state_dict'\)$",
        refused=r"lacks what training needs: KeyError\('optimizer_state_dict'\)\.",
    ),
    "six classes": Variant(
        spoil=small_model(6, own_state=True),
        refused=r"was trained for 6 classes, this run has 5: check label_mode",
    ),
    "six classes in the configuration alone": Variant(
        spoil=configure(id2label={str(number): "class" for number in range(6)}),
        problem=r"does not fit config\.json: wanted \[6, \d+\] for classifier\.out_proj\.weight",
        refused=r"does not fit config\.json: wanted \[6, \d+\]",
    ),
    "NaN in the weights": Variant(
        spoil=put_number(np.nan),
        problem=r"^model\.safetensors holds NaN or infinite weights, in roberta\.\S+: they",
        refused=r"model\.safetensors holds NaN or infinite weights",
    ),
    "infinity in the weights": Variant(
        spoil=put_number(-np.inf),
        problem=r"^model\.safetensors holds NaN or infinite weights",
        refused=r"model\.safetensors holds NaN or infinite weights",
    ),
    "weights of a smaller model": Variant(
        spoil=small_model(5, own_state=False),
        problem=r"belongs to another model than model\.safetensors: .*shape \[\d+, \d+\]",
        refused=r"belongs to another model than model\.safetensors",
    ),
    "configuration of a model with fewer layers": Variant(
        spoil=configure(num_hidden_layers=1),
        problem=r"does not fit config\.json: wanted 1 layers, found \d+$",
        refused=r"does not fit config\.json: wanted 1 layers, found \d+\.",
    ),
}


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS.keys())
def test_inspect_and_import_say_the_same_of_a_damaged_or_odd_checkpoint(
    full: FullSize, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variant: Variant
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = full.copy(place / "codebert" / variant.name, **variant.changes)
    variant.spoil(folder)
    verdict = inspect_path(folder)
    said = verdict.to_json()
    wanted = {**GOES_ON, **variant.verdict, "valid": variant.problem is None}
    assert {name: said[name] for name in wanted} == wanted
    assert len(said["problems"]) == (variant.problem is not None)
    assert re.search(variant.problem or "^$", "".join(said["problems"]))
    assert ("Nothing needs to be trained again" in verdict_text(verdict)) == said["valid"]
    if variant.refused:
        with pytest.raises(CheckpointError, match=rf"^No old .*{variant.refused}.*run_dir\.$"):
            find_old_checkpoint(place, "codebert", n_classes=5, alone=False)
    else:
        old = find_old_checkpoint(place, "codebert", n_classes=5, alone=False)
        assert old is not None
        going_on = (old.epoch + 1, 0) if old.complete else (old.epoch, old.step)
        assert going_on == (said["resume_epoch"], said["resume_step"])
        odd = [note for note in old.notes if not any(usual in note for usual in USUAL_NOTES)]
        assert len(odd) == (variant.told is not None)
        assert (variant.told or "") in "".join(odd)
    assert not (tmp_path / "executed").exists()


def test_a_damaged_checkpoint_is_passed_over_for_a_whole_one(full: FullSize, place: Path) -> None:
    run = place / "codebert"
    zero_a_block(full.copy(run / "last_checkpoint"))
    full.copy(run / "checkpoint_epoch1_step500", step=500)
    cut(STATE)(full.copy(run / "recovery_checkpoint"))
    old = find_old_checkpoint(place, "codebert", n_classes=5, alone=False)
    assert old is not None
    assert (old.folder.name, old.step) == ("checkpoint_epoch1_step500", 500)
    passed = [note for note in old.notes if note.startswith("Passed over: ")]
    assert "recovery_checkpoint/training_state.pth can't be read" in passed[0]
    assert "last_checkpoint: training_state.pth is damaged" in passed[1]
    verdict = inspect_path(run)
    said = verdict.to_json()
    assert (said["valid"], said["resume_step"]) == (False, 500)
    assert "it goes on from what is whole, at epoch 1, batch 500" in verdict_text(verdict)


def test_leftovers_of_a_copy_beside_a_good_checkpoint_are_ignored(
    full: FullSize, place: Path
) -> None:
    run = place / "codebert"
    full.copy(run / "last_checkpoint")
    leftovers = (".backup_last_checkpoint", ".tmp_last_checkpoint", "checkpoint_epoch9_step9.tmp")
    for name in (*leftovers, ".backup_1/last_checkpoint"):
        full.copy(run / name, epoch=9)  # whole, so that only its name can tell
    (run / "last_checkpoint" / ".tmp_model.safetensors").write_bytes(b"cut")
    verdict = inspect_path(place)
    said = verdict.to_json()
    assert list(said["checkpoints"]) == ["codebert/last_checkpoint"]
    assert {name: said[name] for name in GOES_ON} == GOES_ON
    old = find_old_checkpoint(place, "codebert", n_classes=5, alone=False)
    assert old is not None
    assert (old.folder.name, old.epoch) == ("last_checkpoint", 1)


@pytest.mark.parametrize("best_epoch", [1, 3])
def test_training_goes_on_from_the_last_checkpoint_and_never_from_the_best_model(
    full: FullSize, place: Path, best_epoch: int
) -> None:
    run = place / "codebert"
    full.copy(run / "best_model", epoch=best_epoch, step=0)
    full.copy(run / "last_checkpoint", epoch=2, step=500)
    for folder in (place, run):
        verdict = inspect_path(folder)
        said = verdict.to_json()
        assert (said["resume_epoch"], said["resume_step"]) == (2, 500)
        assert len(said["checkpoints"]) == 2
    old = find_old_checkpoint(place, "codebert", n_classes=5, alone=False)
    assert old is not None
    assert old.folder.name == "last_checkpoint"
    text = verdict_text(inspect_path(run / "best_model"))
    assert "its state may be older than that of last_checkpoint" in text
    assert text.endswith("weights to predict with; training goes on from last_checkpoint.")


def test_where_nothing_is_whole_inspect_promises_nothing(full: FullSize, place: Path) -> None:
    run = place / "codebert"
    remove(WEIGHTS)(full.copy(run / "last_checkpoint"))
    remove(STATE)(full.copy(run / "recovery_checkpoint"))
    full.copy(run / "best_model", step=0)
    verdict = inspect_path(run)
    said = verdict.to_json()
    assert (said["valid"], said["resume_epoch"]) == (False, None)
    assert said["problems"] == [
        "last_checkpoint: model.safetensors is missing",
        "recovery_checkpoint: training_state.pth is missing",
    ]
    assert verdict_text(verdict).endswith(
        "Put a good copy back, or run the pipeline again: it says what can be done."
    )
    with pytest.raises(CheckpointError, match=r"No old checkpoint of codebert can be gone on from"):
        find_old_checkpoint(place, "codebert", n_classes=5, alone=False)


def test_averaged_weights_without_a_state_are_whole_but_to_predict_with(
    full: FullSize, place: Path
) -> None:
    folder = full.copy(place / "codebert" / "swa_model")
    remove(STATE)(folder)
    verdict = inspect_path(folder)
    said = verdict.to_json()
    assert {name: said[name] for name in GOES_ON} == {**NOTHING_KNOWN, "valid": True}
    assert "weights to predict with" in verdict_text(verdict)
    assert find_old_checkpoint(place, "codebert", n_classes=5, alone=False) is None
    with pytest.raises(CheckpointError, match=r"swa_model: training_state\.pth is missing"):
        find_old_checkpoint(folder, "codebert", n_classes=5, alone=True)


def test_the_moments_of_the_checkpoints_not_taken_are_not_read(
    full: FullSize, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five kept checkpoints of a gigabyte each must not be in memory at once."""
    for step in (100, 200, 300):
        full.copy(place / "codebert" / f"checkpoint_epoch1_step{step}", step=step)
    read = []
    original = torch.load

    def noted(path: Path, **settings: Any) -> Any:
        if not settings["mmap"]:
            read.append(Path(path).parent.name)
        return original(path, **settings)

    monkeypatch.setattr(torch, "load", noted)
    find_old_checkpoint(place, "codebert", n_classes=5, alone=False)
    assert read == ["checkpoint_epoch1_step300"]
