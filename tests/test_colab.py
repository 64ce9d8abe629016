"""Drive, secrets and git, against a faithful google.colab and real local repositories."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from enstack import colab
from enstack.colab import DriveError, pull
from enstack.errors import EnstackError

ROOT = Path(__file__).resolve().parent.parent


class MessageError(Exception):
    """As google.colab._message.MessageError: what a refused permission raises."""


class FakeDrive(types.ModuleType):
    """google.colab.drive: mounts a folder, or fails as the real one does."""

    def __init__(self) -> None:
        super().__init__("google.colab.drive")
        self.mounts = self.flushes = 0
        self.error: Exception | None = None

    def mount(
        self,
        mountpoint: str,
        force_remount: bool = False,
        timeout_ms: int = 120000,
        readonly: bool = False,
    ) -> None:
        self.mounts += 1
        if self.error:
            raise self.error
        if Path(mountpoint).is_dir() and any(Path(mountpoint).iterdir()):
            raise ValueError("Mountpoint must not already contain files")
        (Path(mountpoint) / "MyDrive").mkdir(parents=True)

    def flush_and_unmount(self, timeout_ms: int = 24 * 60 * 60 * 1000) -> None:
        self.flushes += 1
        if self.error:
            raise self.error


@pytest.fixture(autouse=True)
def _no_toy_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENSTACK_TOY")


@pytest.fixture
def fake_drive(monkeypatch: pytest.MonkeyPatch) -> FakeDrive:
    """A kernel in Colab, where google.colab is loaded before any cell."""
    drive, package = FakeDrive(), types.ModuleType("google.colab")
    monkeypatch.setitem(sys.modules, "google", types.ModuleType("google"))
    monkeypatch.setitem(sys.modules, "google.colab", package)
    monkeypatch.setitem(sys.modules, "google.colab.drive", drive)
    package.drive = drive  # type: ignore[attr-defined]
    return drive


# Drive


def test_results_go_to_drive_in_colab(fake_drive: FakeDrive, tmp_path: Path) -> None:
    folder = colab.open_work_folder("runs", root=tmp_path / "drive")
    assert folder == tmp_path / "drive" / "MyDrive" / "runs"
    assert folder.is_dir()


def test_a_mounted_drive_is_not_mounted_again(fake_drive: FakeDrive, tmp_path: Path) -> None:
    colab.mount_drive(tmp_path)
    colab.mount_drive(tmp_path)
    assert fake_drive.mounts == 1


def test_without_drive_results_go_to_the_runtime_with_a_warning(
    fake_drive: FakeDrive,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(colab, "VM_DISK", tmp_path)
    assert colab.open_work_folder("runs", use_drive=False) == tmp_path / "runs"
    assert "lost when the runtime ends" in capsys.readouterr().out
    assert fake_drive.mounts == 0


def test_outside_colab_results_go_to_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(colab, "CHECKOUT", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLAB_RELEASE_TAG", "a subprocess in Colab has this, and can't mount")
    assert colab.open_work_folder("runs") == tmp_path / "enstack_runs"
    assert f"Not in Colab, so there is no Drive: results go to {tmp_path}" in (
        capsys.readouterr().out
    )


def test_where_the_notebook_fetched_the_code_results_go_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(colab, "CHECKOUT", tmp_path / "enstack")
    monkeypatch.chdir(tmp_path)
    assert colab.open_work_folder("runs") == tmp_path / "runs"


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (MessageError("Error: credential propagation was unsuccessful"), "tick every box"),
        (OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN)), "Disconnect and delete runtime"),
        (ValueError("mount failed: timed out"), r"\(mount failed: timed out\).*untick USE_DRIVE"),
        (TimeoutError(), r"\(TimeoutError\).*untick USE_DRIVE"),
    ],
)
def test_a_failed_mount_is_one_sentence_and_leaves_no_folder(
    fake_drive: FakeDrive, tmp_path: Path, error: Exception, advice: str
) -> None:
    fake_drive.error = error
    with pytest.raises(DriveError, match=advice) as caught:
        colab.open_work_folder("runs", root=tmp_path / "drive")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "drive").exists()


def test_files_in_the_way_of_the_mount_are_named_and_kept(
    fake_drive: FakeDrive, tmp_path: Path
) -> None:
    (tmp_path / "results.csv").write_text("mine")
    with pytest.raises(DriveError, match=f"!mv {tmp_path} {tmp_path}_old"):
        colab.mount_drive(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["results.csv"]


def test_a_mount_that_brings_no_drive_is_an_error(
    fake_drive: FakeDrive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake_drive, "mount", lambda mountpoint: None)
    with pytest.raises(DriveError, match="MyDrive is absent"):
        colab.open_work_folder("runs", root=tmp_path / "drive")
    assert not (tmp_path / "drive").exists()


# The code


Git = Callable[..., str]


@pytest.fixture
def git(monkeypatch: pytest.MonkeyPatch) -> Git:
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "someone")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "someone@example.org")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")

    def run(folder: Path, *arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    return run


@pytest.fixture
def published(tmp_path: Path, git: Git) -> Path:
    """The repository that others push to."""
    folder = tmp_path / "published"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch", "main")
    publish(git, folder, "code.py", "old")
    publish(git, folder, "other.py", "old")
    return folder


@pytest.fixture
def checkout(tmp_path: Path, published: Path, git: Git) -> Path:
    git(tmp_path, "clone", "--quiet", str(published), "checkout")
    return tmp_path / "checkout"


def publish(git: Git, folder: Path, name: str, text: str, *options: str) -> None:
    (folder / name).write_text(text)
    git(folder, "add", name)
    git(folder, "commit", "--quiet", "--message", f"{name}: {text}", *options)


def state(git: Git, folder: Path) -> tuple[str, str, dict[str, str]]:
    files = {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}
    return git(folder, "rev-parse", "HEAD"), git(folder, "stash", "list"), files


def test_pull_takes_a_new_commit(git: Git, published: Path, checkout: Path) -> None:
    publish(git, published, "code.py", "new")
    before = git(checkout, "rev-parse", "--short", "HEAD")
    after = git(published, "rev-parse", "--short", "HEAD")
    said = pull(checkout)
    assert said == f"The code was updated ({before} → {after}).\n   · code.py: new"
    assert (checkout / "code.py").read_text() == "new"
    assert pull(checkout) == "The code is up to date."


def test_pull_takes_a_new_commit_and_keeps_edits_elsewhere(
    git: Git, published: Path, checkout: Path
) -> None:
    publish(git, published, "code.py", "new")
    (checkout / "other.py").write_text("mine")
    assert pull(checkout).startswith("The code was updated")
    assert (checkout / "other.py").read_text() == "mine"


@pytest.mark.parametrize("name", ["code.py", "fresh.py"])
def test_pull_keeps_files_that_are_in_its_way_and_names_them(
    git: Git, published: Path, checkout: Path, name: str
) -> None:
    publish(git, published, name, "new")
    (checkout / name).write_text("mine")
    before = state(git, checkout)
    said = pull(checkout)
    assert said.startswith(f"Your edits in {name} are kept, and the code was not updated")
    assert state(git, checkout) == before
    follow(git, said)
    assert pull(checkout).startswith("The code was updated")
    assert (checkout / name).read_text() == "new"
    assert "stash@{0}" in git(checkout, "stash", "list")


def test_pull_survives_a_force_push_and_its_advice_loses_nothing(
    git: Git, published: Path, checkout: Path
) -> None:
    publish(git, published, "code.py", "rewritten", "--amend")
    (checkout / "mine.txt").write_text("mine")
    before = state(git, checkout)
    said = pull(checkout)
    assert said.startswith("The published history no longer contains this checkout's commit")
    assert state(git, checkout) == before
    follow(git, said)
    assert pull(checkout) == "The code is up to date."
    assert (checkout / "code.py").read_text() == "rewritten"
    assert (checkout / "mine.txt").read_text() == "mine"
    assert before[0] in git(checkout, "log", "--format=%H", f"mine-{before[0][:7]}")


def test_pull_leaves_commits_of_the_users_own(git: Git, published: Path, checkout: Path) -> None:
    publish(git, checkout, "code.py", "mine")
    assert pull(checkout) == "The code is up to date."
    publish(git, published, "code.py", "new")
    before = state(git, checkout)
    assert "or you committed here" in pull(checkout)
    assert state(git, checkout) == before


def test_pull_says_how_to_leave_a_detached_head(git: Git, published: Path, checkout: Path) -> None:
    git(checkout, "checkout", "--quiet", "--detach")
    publish(git, published, "code.py", "new")
    before = state(git, checkout)
    said = pull(checkout)
    assert "detached head" in said
    assert state(git, checkout) == before
    follow(git, said)
    assert pull(checkout).startswith("The code was updated")


def test_pull_without_a_remote_or_a_repository_goes_on(
    git: Git, published: Path, tmp_path: Path
) -> None:
    assert "follows no remote branch" in pull(published)
    (tmp_path / "plain").mkdir()
    assert "is no git checkout" in pull(tmp_path / "plain")


def test_pull_goes_on_when_the_remote_is_gone(git: Git, published: Path, checkout: Path) -> None:
    published.rename(published.with_name("moved"))
    said = pull(checkout)
    assert said.startswith("No update could be fetched (fatal: ")
    assert said.endswith("the code at hand is used.")


def test_pull_goes_on_when_another_git_holds_the_lock(
    git: Git, published: Path, checkout: Path
) -> None:
    publish(git, published, "code.py", "new")
    (checkout / ".git" / "index.lock").touch()
    assert "index.lock" in pull(checkout)
    assert (checkout / "code.py").read_text() == "old"


def follow(git: Git, advice: str) -> None:
    """Run the command that a sentence gives, as a user would in a cell."""
    command = advice.split("`")[1].removeprefix("!")
    subprocess.run(command, shell=True, check=True, capture_output=True)


def test_the_commit_is_said_with_local_edits(git: Git, checkout: Path, tmp_path: Path) -> None:
    commit = git(checkout, "rev-parse", "--short", "HEAD")
    assert colab.code_commit(checkout).startswith(f"commit {commit} of 20")
    (checkout / "code.py").write_text("mine")
    assert colab.code_commit(checkout).endswith(", with local edits")
    assert colab.code_commit(tmp_path) == "not under git"


LIVE_UPDATE = """
import subprocess, sys, types
sys.dont_write_bytecode = True
sys.modules["google.colab"] = types.ModuleType("google.colab")
sys.path[:0] = [sys.argv[1]]
from enstack import colab
import enstack.errors
first = enstack.__version__
subprocess.run(["git", "-C", sys.argv[2], "commit", "-qam", "new"], check=True)
colab.update_code()
from enstack import colab
import enstack
print(first, enstack.__version__, colab.__version__, colab.__file__)
"""


def test_new_code_is_used_without_a_restart(git: Git, tmp_path: Path) -> None:
    published = tmp_path / "published"
    shutil.copytree(
        ROOT / "enstack", published / "enstack", ignore=shutil.ignore_patterns("__pycache__")
    )
    version = published / "enstack" / "__init__.py"
    version.write_text("__version__ = '1'\n")
    git(published, "init", "--quiet", "--initial-branch", "main")
    git(published, "add", ".")
    git(published, "commit", "--quiet", "--message", "old")
    git(tmp_path, "clone", "--quiet", str(published), "checkout")
    # Of the same size and within the same second: what stale bytecode would hide.
    version.write_text("__version__ = '2'\n")
    command = [sys.executable, "-c", LIVE_UPDATE, str(tmp_path / "checkout"), str(published)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path)
    assert "The code was updated" in done.stdout
    source = tmp_path / "checkout" / "enstack" / "colab.py"
    assert done.stdout.splitlines()[-1] == f"1 2 2 {source}"


def test_a_checkout_that_the_notebook_lies_in_is_not_pulled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    monkeypatch.setattr(colab, "pull", lambda checkout: f"pulled {checkout}")
    monkeypatch.chdir(tmp_path)
    colab.update_code(tmp_path)
    assert capsys.readouterr().out == ""
    colab.update_code(tmp_path / "enstack")
    assert capsys.readouterr().out == f"pulled {tmp_path / 'enstack'}\n"


def test_only_requirements_that_are_not_met_are_installed() -> None:
    met = "pytest>=1\nnumpy>=1.26\n\n"
    assert colab.unmet_requirements(met) == []
    unmet = ["pytest>=9999", "no-such-package-of-anyone>=1"]
    assert colab.unmet_requirements(met + "\n".join(unmet)) == unmet


def test_a_local_or_early_build_meets_a_lower_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(colab.metadata, "version", lambda name: "2.11.0rc1+cu128")
    assert colab.unmet_requirements("torch>=2.4") == []


def test_colab_replaces_none_of_the_packages_that_it_ships(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pins = (ROOT / "constraints-colab.txt").read_text().splitlines()
    shipped = dict(pin.split("==") for pin in pins if not pin.startswith("#"))
    shipped["torch"] = "2.11.0+cu128"
    wanted = (ROOT / "requirements.txt").read_text().splitlines()
    wanted = [line for line in wanted if line.partition(">=")[0] in shipped]
    assert len(wanted) > 10, "the two files name packages alike"
    monkeypatch.setattr(colab.metadata, "version", shipped.__getitem__)
    assert colab.unmet_requirements("\n".join(wanted)) == []


def test_pip_is_asked_for_what_is_missing_in_colab_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "requirements.txt").write_text("pytest>=1\npytest>=9999\n")
    monkeypatch.setattr(colab, "CHECKOUT", tmp_path)
    asked: list[list[str]] = []
    monkeypatch.setattr(colab, "install", asked.append)
    colab.prepare_code(notebook_version=colab.NOTEBOOK_VERSION)
    assert f"Missing: pytest>=9999. Run `pip install -e {tmp_path}`." in capsys.readouterr().out
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    colab.prepare_code(notebook_version=colab.NOTEBOOK_VERSION)
    assert asked == [["pytest>=9999"]]


def test_a_failed_pip_is_one_error_with_its_reason() -> None:
    with pytest.raises(EnstackError, match=r"pip failed \(ERROR: .*no-such-package"):
        colab.install(["no-such-package-of-anyone @ file:///no-such-package-of-anyone"])


def test_an_old_notebook_is_told_so(capsys: pytest.CaptureFixture[str]) -> None:
    colab.prepare_code(notebook_version=colab.NOTEBOOK_VERSION - 1)
    assert "open the newest notebook" in capsys.readouterr().out
    colab.prepare_code(notebook_version=colab.NOTEBOOK_VERSION)
    said = capsys.readouterr().out
    assert "notebook" not in said.replace(str(ROOT), "")
    assert f"from {ROOT}" in said


# Secrets and the end


class FakeUserdata(types.ModuleType):
    """google.colab.userdata, with its errors."""

    class SecretNotFoundError(Exception):
        def __init__(self, key: str) -> None:
            super().__init__(f"Secret {key} does not exist.")

    def __init__(self, secrets: dict[str, str]) -> None:
        super().__init__("google.colab.userdata")
        self.secrets = secrets

    def get(self, key: str) -> str:
        if key not in self.secrets:
            raise self.SecretNotFoundError(key)
        return self.secrets[key]


@pytest.fixture
def _no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "to be put back")
    monkeypatch.delenv("HF_TOKEN")


@pytest.mark.usefixtures("fake_drive", "_no_token")
def test_a_secret_of_colab_becomes_the_hubs_token(monkeypatch: pytest.MonkeyPatch) -> None:
    userdata = FakeUserdata({"HF_TOKEN": "hf_abc"})
    monkeypatch.setattr(sys.modules["google.colab"], "userdata", userdata, raising=False)
    colab.prepare_code(notebook_version=colab.NOTEBOOK_VERSION, use_hub_token=True)
    assert os.environ.pop("HF_TOKEN") == "hf_abc"
    userdata.secrets.clear()
    with pytest.raises(EnstackError, match=r"Secret HF_TOKEN does not exist.*untick USE_HF_TOKEN"):
        colab.take_hub_token()


@pytest.mark.usefixtures("_no_token")
def test_a_secret_of_kaggle_becomes_the_hubs_token(monkeypatch: pytest.MonkeyPatch) -> None:
    kaggle = types.ModuleType("kaggle_secrets")
    secret = types.SimpleNamespace(get_secret=lambda name: f"the {name} of kaggle")
    kaggle.UserSecretsClient = lambda: secret  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "kaggle_secrets", kaggle)
    colab.take_hub_token()
    assert os.environ.pop("HF_TOKEN") == "the HF_TOKEN of kaggle"


def test_drive_is_flushed_on_request_and_a_failure_says_what_to_look_at(
    fake_drive: FakeDrive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    colab.flush_drive(tmp_path / "drive")
    assert "nothing to wait for" in capsys.readouterr().out
    colab.mount_drive(tmp_path / "drive")
    colab.flush_drive(tmp_path / "drive")
    assert "Google Drive has everything" in capsys.readouterr().out
    assert fake_drive.flushes == 1
    fake_drive.error = ValueError("Timed out")
    with pytest.raises(DriveError, match=r"\(Timed out\).*drive\.google\.com"):
        colab.flush_drive(tmp_path / "drive")
