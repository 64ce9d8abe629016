"""A bundle is fetched from the hub and pushed to it; held against a stand-in on this machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import enstack
from enstack.errors import CheckpointError, ConfigError
from tests.support.command_line import enstack_here, refused
from tests.support.hub_stand_in import HubStandIn
from tests.support.hub_stand_in import hub as hub  # a fixture

TEXTS = ["int f(char *s) { return s[0]; }", "void g(void) { }"]


def test_a_model_of_the_hub_loads_and_scans_as_the_bundle_that_was_pushed(
    bundle: Path, hub: HubStandIn, tmp_path: Path
) -> None:
    page = enstack.push(bundle, "me/judge")
    assert page.endswith("/me/judge")
    assert hub.private["me/judge"]
    model = enstack.load("me/judge")
    np.testing.assert_array_equal(
        model.predict_proba(TEXTS), enstack.load(bundle).predict_proba(TEXTS)
    )
    (tmp_path / "a.c").write_text("\n".join(TEXTS))
    found = enstack.scan(tmp_path / "a.c", "me/judge", local_dir=tmp_path / "local")
    assert len(found.functions) == 2


def test_only_what_the_manifest_lists_is_fetched(bundle: Path, hub: HubStandIn) -> None:
    hub.put("me/judge", bundle)
    hub.models["me/judge"]["pytorch_model.bin"] = b"a pickle"
    enstack.load("me/judge")
    assert any("model.safetensors" in one for one in hub.asked)
    assert not any("pytorch_model.bin" in one for one in hub.asked)


def test_a_model_that_is_no_bundle_is_refused_before_its_weights_are_fetched(
    hub: HubStandIn,
) -> None:
    hub.models["them/base"] = {"config.json": b"{}", "model.safetensors": b"gigabytes"}
    with pytest.raises(CheckpointError, match="them/base on the hub must be a bundle"):
        enstack.load("them/base")
    assert not any("resolve" in one for one in hub.asked)


def test_a_damaged_file_of_the_hub_is_refused_by_name(bundle: Path, hub: HubStandIn) -> None:
    hub.put("me/judge", bundle)
    hub.models["me/judge"]["meta_classifier.skops"] += b"!"
    with pytest.raises(CheckpointError, match=r"meta_classifier\.skops has"):
        enstack.load("me/judge")


def test_a_model_that_is_not_there_is_told_from_a_hub_out_of_reach(
    hub: HubStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CheckpointError, match=r"me/none is no folder here.*none of that name"):
        enstack.load("me/none")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match=r"me/none is no folder here.*can't be reached"):
        enstack.load("me/none")


def test_a_folder_of_that_name_is_meant_before_the_hub_is_asked(
    hub: HubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "me" / "judge").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="must hold a finished run"):
        enstack.load("me/judge")
    assert hub.asked == []


def test_a_push_replaces_an_earlier_bundle_and_nothing_else(
    bundle: Path, hub: HubStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.put("me/judge", bundle)
    hub.models["me/judge"]["base_models/gone/config.json"] = b"{}"
    hub.models["me/judge"]["NOTES.md"] = b"mine"
    enstack.push(bundle, "me/judge")
    assert "base_models/gone/config.json" not in hub.models["me/judge"]
    assert hub.models["me/judge"]["NOTES.md"] == b"mine"
    enstack.load("me/judge")
    hub.models["me/thesis"] = {"thesis.tex": b"mine"}
    with pytest.raises(ConfigError, match=r"it holds thesis\.tex"):
        enstack.push(bundle, "me/thesis")
    assert hub.models["me/thesis"] == {"thesis.tex": b"mine"}
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(ConfigError, match="needs a token"):
        enstack.push(bundle, "me/judge")


def test_the_command_pushes_a_run_or_a_bundle(
    ensemble: tuple, bundle: Path, hub: HubStandIn, scratch: Path
) -> None:
    done = enstack_here("export", bundle, "--hub", "me/judge", "--public")
    assert (done.returncode, hub.private["me/judge"]) == (0, False)
    assert done.stdout.strip().endswith("/me/judge")
    run = ensemble[0].path
    done = enstack_here(
        "export", run, "--hub", "me/other", "--name", "vote", "--local-dir", scratch
    )
    assert done.returncode == 0, done.stderr
    assert enstack.load("me/other").name == "vote:mean"
    refused(enstack_here("export", run), 2, "name a folder with --to, or --hub")
    refused(enstack_here("export", bundle, "--hub", "judge"), 2, "must be owner/name")
