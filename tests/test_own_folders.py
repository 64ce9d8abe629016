"""A run writes into its own two folders alone, and takes no other for its own."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import enstack
from enstack.config import RunConfig
from enstack.errors import CheckpointError, ConfigError, EnstackError
from enstack.pipeline import run_pipeline
from enstack.reporting.stage import rewrite_report
from enstack.run_folder import RunFolder
from tests.support.outside import Outside, link
from tests.support.pipeline_runs import changed

SLOT = re.compile(r"(last|previous)_checkpoint|best_model")


@pytest.fixture
def outside(tmp_path: Path) -> Outside:
    return Outside(tmp_path / "outside")


def written_into(root: Path) -> Iterator[Path]:
    """Every folder that a run has made, but checkpoints, which are only ever replaced whole."""
    for path in sorted(root.iterdir()):
        if path.is_dir() and not path.is_symlink() and not SLOT.fullmatch(path.name):
            yield path
            yield from written_into(path)


def test_no_folder_that_a_run_writes_into_may_be_a_link(
    finished_run: RunConfig, outside: Outside
) -> None:
    run_dir = Path(finished_run.run_dir)
    (run_dir / "base_models" / "micro" / "folds" / "1").mkdir(parents=True)
    folders = list(written_into(run_dir))
    assert len(folders) > 6
    for path in folders:
        kept = Path(shutil.move(path, outside.folder.with_name("kept")))
        path.symlink_to(shutil.copytree(kept, outside.folder / "target"))
        before = outside.state()
        for again in (finished_run, changed(finished_run, epochs=3)):
            with pytest.raises(CheckpointError, match="run_dir must hold folders of its own"):
                run_pipeline(again)
        with pytest.raises(CheckpointError, match="run_dir must hold folders of its own"):
            rewrite_report(run_dir)
        assert outside.state() == before
        path.unlink()
        shutil.rmtree(outside.folder / "target")
        shutil.move(kept, path)
    run_pipeline(finished_run)


@pytest.mark.parametrize(
    "name", ["checkpoints", "columns", "locks", "near_duplicates", "staged", "tokens", "toy",
             "toy/data", "toy/models", "toy/models/tiny-a"],
)  # fmt: skip
def test_no_folder_of_the_scratch_disk_may_be_a_link(
    config: RunConfig, outside: Outside, tmp_path: Path, name: str
) -> None:
    settings = changed(config, local_dir=str(tmp_path / "local"))
    link("folder", tmp_path / "local" / name, outside)
    before = outside.state()
    with pytest.raises(ConfigError, match="local_dir must hold folders of its own"):
        run_pipeline(settings)
    assert outside.state() == before


def test_a_run_is_found_and_gone_on_with_through_a_shortcut(
    finished_run: RunConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "shortcut").symlink_to(finished_run.run_dir)
    run_pipeline(changed(finished_run, run_dir=str(tmp_path / "shortcut")))
    assert "✓ micro: finished before, skipped" in capsys.readouterr().out
    assert (tmp_path / "shortcut").is_symlink()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"run_dir": "/"}, "run_dir must be a folder of its own; /"),
        ({"run_dir": "/etc/run"}, "run_dir must be a folder of its own; /etc/run"),
        ({"local_dir": "/usr"}, "local_dir must be a folder of its own; /usr"),
        ({"local_dir": "RUN"}, "local_dir .* is run_dir, or holds it"),
        ({"local_dir": "ABOVE"}, "local_dir .* is run_dir, or holds it"),
        ({"local_dir": "DATA"}, "local_dir .* is data_dir, or holds it"),
    ],
)
def test_a_folder_that_others_need_is_refused_before_anything_is_made(
    config: RunConfig, settings: dict[str, str], named: str
) -> None:
    places = {
        "RUN": config.run_dir,
        "ABOVE": str(Path(config.run_dir).parent),
        "DATA": config.data_dir,
    }
    chosen = {key: places.get(value, value) for key, value in settings.items()}
    with pytest.raises(EnstackError, match=named) as caught:
        run_pipeline(changed(config, **chosen))
    assert caught.value.exit_status == 2
    assert not Path(config.run_dir).exists()


def test_a_run_below_a_folder_whose_name_is_no_utf_8_ends_as_any_other(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting can't name such a folder; the current one may be it, as on an old archive."""
    place = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    place.mkdir()
    monkeypatch.chdir(place)
    settings = changed(config, run_dir="run", local_dir="local")
    run_pipeline(settings)
    assert RunFolder(place / "run").report_page.is_file()
    assert "its run folder" not in enstack.clean("local").text()
