"""A bundle answers as its run does, anywhere; one that is not as exported is refused by name."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import enstack
from enstack.bundle.folder import require_whole_bundle
from enstack.bundle.opening import open_model
from enstack.errors import CheckpointError, ConfigError, EnstackError
from enstack.run_folder import RunFolder
from enstack.storage.manifest import MANIFEST, manifest_bytes, read_manifest
from tests.support.command_line import enstack_here, refused
from tests.support.spoilt_bundles import files_of, sealed

Ensemble = tuple[RunFolder, list[str]]


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    """A bundle in a folder of its own, to be spoilt."""
    return Path(shutil.copytree(bundle, tmp_path / "copy"))


@pytest.mark.parametrize("name", ["svm", "vote", "micro", "greedy", "tfidf_lr"])
def test_every_kind_of_model_answers_out_of_its_bundle_as_in_its_run(
    ensemble: Ensemble, scratch: Path, name: str
) -> None:
    run, texts = ensemble
    folder = enstack.export(run.path, scratch / name, name=name, local_dir=scratch)
    expected, found = enstack.load(run.path, name), enstack.load(folder)
    assert found.name == expected.name
    np.testing.assert_allclose(
        found.predict_proba(texts), expected.predict_proba(texts), atol=1e-6, rtol=0
    )


def test_flags_keep_their_thresholds(flags_ensemble: Ensemble, scratch: Path) -> None:
    run, texts = flags_ensemble
    folder = enstack.export(run.path, scratch / "flags", local_dir=scratch)
    np.testing.assert_array_equal(
        enstack.load(folder).predict(texts), enstack.load(run.path).predict(texts)
    )


def test_a_bundle_stands_alone_and_scans_as_its_run(
    ensemble: Ensemble, bundle: Path, tmp_path: Path, scratch: Path
) -> None:
    (tmp_path / "a.c").write_text("\n\n".join(f"int\n{text}" for text in ensemble[1][:6]))
    moved = shutil.copytree(bundle, tmp_path / "elsewhere" / "bundle")
    expected = enstack.scan(tmp_path / "a.c", ensemble[0].path, name="lr", local_dir=scratch)
    found = enstack.scan(tmp_path / "a.c", moved, local_dir=tmp_path / "fresh")
    assert len(found.functions) == 6
    for one, other in zip(found.functions, expected.functions, strict=True):
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-5)
    assert [one.level for one in found.findings] == [one.level for one in expected.findings]
    told = b"".join(path.read_bytes() for path in files_of(moved) if path.suffix != ".safetensors")
    assert str(tmp_path.parents[1]).encode() not in told  # where whoever trained keeps their data
    done = enstack_here("scan", tmp_path / "a.c", "--model", moved, "--local-dir", tmp_path / "f")
    assert done.returncode == 0, done.stderr
    assert "judges one function at a time" in " ".join(done.stdout.split())


def test_loading_a_bundle_executes_no_pickle_and_asks_nothing_of_a_network(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, watching = list[object](), [True]

    def hook(event: str, args: object) -> None:
        if watching and event.startswith(("pickle", "socket.connect", "socket.getaddrinfo")):
            asked.append((event, args))

    sys.addaudithook(hook)  # no process ever lets go of one
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    enstack.load(bundle)
    watching.clear()
    assert asked == []


def test_each_file_that_is_flipped_cut_or_gone_is_refused_by_its_name(copy: Path) -> None:
    random = np.random.default_rng(3)
    for path in files_of(copy):
        whole = path.read_bytes()
        flipped = bytearray(whole)
        flipped[int(random.integers(len(whole)))] ^= 1 << int(random.integers(8))
        for damaged in (bytes(flipped), whole[:-1], b"", None):
            path.unlink()
            if damaged is not None:
                path.write_bytes(damaged)
            with pytest.raises(CheckpointError, match=path.name.replace(".", r"\.")):
                enstack.load(copy)
            path.write_bytes(whole)
    enstack.load(copy)


def test_a_scan_looks_at_all_but_the_weights_before_it_says_anything(
    copy: Path, tmp_path: Path
) -> None:
    for path in files_of(copy):
        if path.suffix == ".safetensors":
            continue
        whole = path.read_bytes()
        path.write_bytes(whole[:-2] + b"!\n")
        with pytest.raises(CheckpointError, match=path.name.replace(".", r"\.")):
            open_model(copy, cache_dir=tmp_path)
        path.write_bytes(whole)


@pytest.mark.parametrize(
    "name",
    ["added_tokens.json", "pytorch_model.bin", "modeling.py", "adapter_config.json", "more/x.json"],
)
def test_what_was_not_exported_is_refused_beside_a_base_model_listed_or_not(
    copy: Path, name: str
) -> None:
    stranger = copy / "base_models" / "micro" / name
    stranger.parent.mkdir(exist_ok=True)
    stranger.write_text("{}")
    with pytest.raises(CheckpointError, match=f"nothing but what was exported, found micro/{name}"):
        enstack.load(copy)
    sealed(copy)
    if name != "added_tokens.json":  # an export might write it
        with pytest.raises(EnstackError, match=r"lists 'base_models|must be whole"):
            enstack.load(copy)


def test_what_a_hub_or_a_user_puts_beside_a_bundle_is_no_part_of_it(copy: Path) -> None:
    for name in (".gitattributes", ".cache/huggingface/x.lock", "NOTES.md"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text("mine")
    enstack.load(copy)


def edited(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        stored = json.loads((folder / "bundle.json").read_text())
        change(stored)
        (folder / "bundle.json").write_text(json.dumps(stored))

    return edit


def with_code(folder: Path) -> None:
    path = folder / "base_models" / "micro" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "auto_map": {"AutoConfig": "evil--x.Config"}}))


def of_base_model(name: str, change: Callable[[Any], Any]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / "base_models" / "micro" / name
        stored = json.loads(path.read_text())
        change(stored)
        path.write_text(json.dumps(stored))

    return edit


def other_weights(folder: Path) -> None:
    from safetensors.numpy import load_file, save_file

    path = folder / "base_models" / "micro" / "model.safetensors"
    tensors = {name: tensor + 0.01 for name, tensor in load_file(path).items()}
    save_file(tensors, path, metadata={"format": "pt"})


HOSTILE = {
    "no layer": (
        of_base_model("config.json", lambda s: s.update(num_hidden_layers=0)),
        "must hold a model that answers; IndexError",
    ),
    "a dropout of no number": (
        of_base_model("config.json", lambda s: s.update(classifier_dropout=float("nan"))),
        "must hold a model that answers|can't be loaded",
    ),
    "a token without a vector": (
        of_base_model("tokenizer.json", lambda s: s["model"]["vocab"].update({"zz": 10**6})),
        "ids of the tokenizer of micro must be below 300, found 1,000,000",
    ),
    "code of its own": (with_code, "auto_map"),
    "other weights": (other_weights, "must say what it said when it was exported"),
    "a folder above": (
        edited(lambda s: s["base_models"][0].update(name="../micro")),
        "bundle.json must hold the model",
    ),
    "a class more": (
        edited(lambda s: s["class_names"].append("x")),
        "probe.json must hold what micro said",
    ),
    "no vote and none stacked": (
        lambda folder: (folder / "meta_classifier.skops").unlink(),
        "meta_classifier.skops must be",
    ),
    "thresholds where none belong": (
        edited(lambda s: s.update(thresholds=[0.5])),
        "thresholds belong to several flags",
    ),
    "a value more": (edited(lambda s: s.update(more=1)), "more: Extra inputs"),
    "positions that there are not": (
        edited(lambda s: s["base_models"][0].update(max_length=100_000)),
        "max_length must be at most",
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_bundle_that_is_whole_and_says_what_none_says_is_refused(copy: Path, what: str) -> None:
    spoil, message = HOSTILE[what]
    spoil(copy)
    sealed(copy)
    with pytest.raises(CheckpointError, match=message):
        enstack.load(copy)


def of_profile(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda stored: stored.update(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (of_profile(error_from="often"), "error_from: Input should be a valid number"),
        (of_profile(temperature=float("nan")), "temperature: Input should be a finite number"),
        (of_profile(class_names=["a", 7]), r"class_names\.1: Input should be a valid string"),
        (of_profile(n_validation=-1), "n_validation: Input should be greater"),
        (of_profile(measured={"n": 1}), r"measured\.vulnerable: Field required"),
        (lambda s: s["thresholds"].append(0.5), "there must be a threshold for each class"),
        (lambda s: s["thresholds"].reverse() or s["class_names"].reverse(), "class_names is ano"),
        (lambda s: s["measured"]["of_class"].update(x=[1, 1]), "must be of the classes"),
    ],
)
def test_what_a_scan_reads_of_a_bundle_is_checked_before_anything_is_scanned(
    copy: Path, tmp_path: Path, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    stored = json.loads((copy / "scanning.json").read_text())
    change(stored)
    (copy / "scanning.json").write_text(json.dumps(stored))
    sealed(copy)
    with pytest.raises(CheckpointError, match=message):
        open_model(copy, cache_dir=tmp_path)


def reshaped(**forms: Callable[[Any], Any]) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        with np.load(path) as stored:
            arrays = dict(stored)
        arrays |= {name: change(arrays[name]) for name, change in forms.items()}
        np.savez(path, **arrays)

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (reshaped(limits=lambda a: a.astype(str)), "limits must be of kind"),
        (reshaped(token_counts=lambda a: a.astype(str)), "token_counts must be of kind"),
        (reshaped(known_bands=lambda a: a[:, :1]), "sketches must be as wide as"),
        (reshaped(known_ids=lambda a: a[None]), "known_ids must be of kind"),
        (
            lambda path: path.write_bytes(
                path.read_bytes().replace(b"'shape': (", b"'shape': [", 1)
            ),
            "must hold what scanning knows",
        ),
    ],
)
def test_what_a_scan_knows_of_training_functions_is_checked_too(
    copy: Path, tmp_path: Path, edit: Callable[[Path], Any], message: str
) -> None:
    edit(copy / "training_functions.npz")
    sealed(copy)
    with pytest.raises(CheckpointError, match=message):
        open_model(copy, cache_dir=tmp_path)


def test_a_manifest_that_is_no_file_or_has_no_end_is_none(copy: Path) -> None:
    path, whole = copy / MANIFEST, (copy / MANIFEST).read_bytes()
    for spoil in (lambda: os.mkfifo(path), lambda: path.symlink_to(path), path.mkdir):
        path.unlink()
        spoil()
        assert read_manifest(copy) is None
        path.rmdir() if path.is_dir() else path.unlink()
        path.write_bytes(whole)
    os.truncate(path, 64 << 30)
    assert read_manifest(copy) is None


def test_a_manifest_that_names_files_elsewhere_reads_none_of_them(copy: Path) -> None:
    for name in ("../secret", "/dev/zero", "base_models/../../x.json", "run.py"):
        manifest, whole = read_manifest(copy) or {}, (copy / MANIFEST).read_bytes()
        manifest["files"][name] = {"bytes": 0, "sha256": ""}
        (copy / MANIFEST).write_bytes(manifest_bytes(manifest))
        with pytest.raises(CheckpointError, match="must hold the files of a bundle alone"):
            require_whole_bundle(copy)
        (copy / MANIFEST).write_bytes(whole)


def test_a_bundle_of_a_newer_enstack_asks_for_an_update(copy: Path) -> None:
    manifest = {**(read_manifest(copy) or {}), "edition": 99}
    (copy / MANIFEST).write_bytes(manifest_bytes(manifest))
    with pytest.raises(CheckpointError, match="exported by a newer enstack"):
        enstack.load(copy)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_change_of_any_file_is_refused(data: st.DataObject, copy: Path) -> None:
    path = data.draw(st.sampled_from(files_of(copy)))
    whole = path.read_bytes()
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 64)))
    changed = whole[:start] + data.draw(st.binary(max_size=64)) + whole[end:]
    path.write_bytes(changed)
    try:
        if changed != whole:
            with pytest.raises(CheckpointError):
                require_whole_bundle(copy)
        else:
            require_whole_bundle(copy)
    finally:
        path.write_bytes(whole)


def test_a_name_that_is_not_the_models_is_refused(bundle: Path) -> None:
    for name in ("lr", "stack:lr", "logistic regression", "LR"):
        assert enstack.load(bundle, name).name == "stack:lr"
    with pytest.raises(ConfigError, match="holds one model, stack:lr; found 'svm'"):
        enstack.load(bundle, "svm")


def test_no_folder_of_anybody_is_written_over(
    ensemble: Ensemble, copy: Path, tmp_path: Path, scratch: Path
) -> None:
    run = ensemble[0].path
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "thesis.tex").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for to, found in {
        theirs: "thesis.tex",
        tmp_path / "file": "is a file",
        run: "holds the run itself",
        run.parent: "holds the run itself",
        Path("/usr"): "a folder of the system",
    }.items():
        with pytest.raises(ConfigError, match=found):
            enstack.export(run, to, local_dir=scratch)
    (copy / "README.md").write_text("my own words")
    with pytest.raises(ConfigError, match="was changed since it was exported"):
        enstack.export(run, copy, local_dir=scratch)
    assert (theirs / "thesis.tex").read_text() == "mine"


def test_an_earlier_bundle_is_replaced_and_what_is_a_users_stays(
    ensemble: Ensemble, copy: Path, tmp_path: Path, scratch: Path
) -> None:
    (copy / ".git").mkdir()
    (copy / ".git" / "HEAD").write_text("mine")
    (tmp_path / "link").symlink_to(copy)
    enstack.export(ensemble[0].path, tmp_path / "link", name="vote", local_dir=scratch)
    assert enstack.load(copy).name == "vote:mean"
    assert (copy / ".git" / "HEAD").read_text() == "mine"
    assert not (copy / "meta_classifier.skops").exists()


def test_an_export_that_fails_leaves_nothing(
    ensemble: Ensemble, tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("enstack.bundle.exporting.write_profile", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        enstack.export(ensemble[0].path, tmp_path / "out", name="micro", local_dir=scratch)
    assert list(tmp_path.iterdir()) == []


def test_the_card_tells_what_was_measured_with_intervals_and_the_limits(
    bundle: Path, ensemble: Ensemble
) -> None:
    from huggingface_hub import ModelCard

    card = ModelCard.load(bundle / "README.md")
    text = " ".join(card.text.split())
    (row,) = [
        one
        for one in json.loads(ensemble[0].report_data.read_text())["leaderboard"]
        if one["key"] == "stack:lr"
    ]
    assert (
        f"| {row['macro_f1']:.3f} | {row['macro_f1_low']:.3f}–{row['macro_f1_high']:.3f} |" in text
    )
    assert card.data.eval_results is not None
    assert card.data.eval_results[0].metric_value == round(row["macro_f1"], 4)
    for told in ("one function at a time", "## Limits", "## Licence", "torch", "42 |"):
        assert told in text


def test_the_command_prints_the_folder_and_says_what_is_wrong(
    ensemble: Ensemble, tmp_path: Path, scratch: Path
) -> None:
    run = ensemble[0].path
    done = enstack_here("export", run, "--to", tmp_path / "b", "--local-dir", scratch)
    assert (done.returncode, done.stdout.strip()) == (0, str(tmp_path / "b"))
    common = ("--to", tmp_path / "c", "--local-dir", scratch)
    refused(enstack_here("export", tmp_path, *common), 4, "finished run")
    refused(enstack_here("export", run, *common, "--name", "svn"), 2, "must be one of")
    refused(enstack_here("export", run, "--to", run), 2, "holds the run itself")
