"""The notebook's machine: Drive, secrets, the update of the code, what must be installed.

The only module that knows google.colab, which exists in Colab alone; in Kaggle and plain Jupyter
the same calls do what can be done there. Its top imports nothing that a fresh Colab machine lacks,
for cell 2 installs the requirements with it.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
import warnings
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from enstack import __version__
from enstack.errors import CheckpointError, EnstackError
from enstack.notebook.cells import (
    configure_run,
    form_settings,
    show_checkpoint,
    show_data,
    show_hardware,
    show_results,
)

# The cells call these by this module's name.
from enstack.notebook.checkout import CHECKOUT, code_commit, failure_reason, pull
from enstack.notebook.fault_report import show_troubleshooting
from enstack.notebook.forms import DRIVE_ROOT, toy_overrides
from enstack.notebook.gpu_check import check_gpu as run_gpu_check
from enstack.notebook.keeping import keep_findings, keep_model
from enstack.notebook.run_time import show_run_time
from enstack.notebook.try_it import open_judge, try_code
from enstack.progress.say import say

__all__ = [
    "check_gpu",
    "configure_run",
    "form_settings",
    "keep_findings",
    "keep_model",
    "open_judge",
    "show_checkpoint",
    "show_data",
    "show_hardware",
    "show_results",
    "show_run_time",
    "show_troubleshooting",
    "try_code",
]

# An update of the code does not reach the notebook that is open, which may be months old.
NOTEBOOK_VERSION = 5  # raised whenever a new cell needs what an old notebook does not give
VM_DISK = Path("/content")
# By words of the error in lower case, for its types tell nothing of the cause.
DRIVE_ADVICE = {
    "credential propagation": "Google Drive was not connected, as a permission was not given: "
    "run this cell again and tick every box in Google's window.",
    "transport endpoint": "The connection to Google Drive broke (errno 107): choose Runtime > "
    "Disconnect and delete runtime, then run the cells again; what lies on Drive is safe.",
    "must not already contain files": "Google Drive can't be mounted, as {root} holds files "
    "already: move them away with `!mv {root} {root}_old`, then run this cell again.",
}


class DriveError(EnstackError):
    """Google Drive can't be used."""


def in_colab() -> bool:
    """Whether this kernel can mount Drive; an environment variable alone does not tell."""
    return "google.colab" in sys.modules


def in_kaggle() -> bool:
    """Whether this kernel runs on Kaggle."""
    return "KAGGLE_KERNEL_RUN_TYPE" in os.environ


def open_work_folder(name: str, *, use_drive: bool = True, root: Path = DRIVE_ROOT) -> Path:
    """Make and return the folder for run folders: on Drive in Colab, else on this machine.

    Raises DriveError, in one sentence, when Drive can't be mounted.
    """
    if toy_overrides():
        folder = Path(os.environ.get("ENSTACK_TOY_DIR") or tempfile.mkdtemp(prefix="enstack-toy-"))
        reason = "A scratch folder is used (ENSTACK_TOY=1)"
    elif not in_colab():
        # git ignores enstack_runs, so that results do not count as edits of the code.
        inside = Path.cwd().is_relative_to(CHECKOUT)
        folder = CHECKOUT / "enstack_runs" if inside else Path.cwd() / name
        reason = "Not in Colab, so there is no Drive"
    elif not use_drive:
        folder = VM_DISK / name
        reason = "⚠️  Without Drive everything is lost when the runtime ends"
    else:
        # Before the folder is made: Drive is not mounted over files.
        mount_drive(root)
        folder, reason = root / "MyDrive" / name.strip().strip("/"), "Google Drive is connected"
    from enstack.storage.disks import require_writable

    require_writable(folder, "DRIVE_FOLDER", CheckpointError)
    say(f"📁 {reason}: results go to {folder}")
    return folder


def mount_drive(root: Path = DRIVE_ROOT) -> None:
    """Mount Drive unless it is mounted; DriveError says in one sentence what to do."""
    # drive.mount asks for permission before it looks whether Drive is mounted.
    if _is_mounted(root):
        return
    from google.colab import drive

    try:
        drive.mount(str(root))
    except Exception as error:  # Colab raises ValueError, OSError and a type of its own
        raise DriveError(_drive_advice(error, root)) from error
    # What is written to a place without a mount stays on the machine, and blocks the next mount.
    if not _is_mounted(root):
        raise DriveError(_drive_advice(f"{root}/MyDrive is absent", root))


def _is_mounted(root: Path) -> bool:
    # Path.is_dir raises on a broken mount (errno 107) before Python 3.12.
    return os.path.isdir(root / "MyDrive")  # noqa: PTH112


def _drive_advice(error: object, root: Path) -> str:
    reason = " ".join(str(error).split()) or type(error).__name__
    for sign, advice in DRIVE_ADVICE.items():
        if sign in reason.lower():
            return advice.format(root=root)
    return (
        f"Google Drive can't be mounted ({reason}): run this cell again, or untick USE_DRIVE to "
        "work without it (results are then lost when the runtime ends)."
    )


def update_code(checkout: Path = CHECKOUT) -> None:
    """Pull the newest code, and let the next import read what is on the disk.

    A checkout that the notebook lies in, outside Colab, is its owner's and is not pulled.
    """
    if in_colab() or not Path.cwd().is_relative_to(checkout):
        say(pull(checkout))
    # Not %autoreload, which fails under Colab's IPython 7: it imports imp, gone from Python 3.12.
    for name in [name for name in sys.modules if name.split(".")[0] == "enstack"]:
        del sys.modules[name]
    # Python remembers what lay in a folder, and may miss a file that is new.
    importlib.invalidate_caches()


def prepare_code(*, notebook_version: int, use_hub_token: bool = False) -> None:
    """Install what is missing, and say which code is loaded and whether the notebook is too old.

    use_hub_token: take HF_TOKEN from the notebook's secrets.
    """
    _show_own_warnings_plainly()
    unmet = unmet_requirements((CHECKOUT / "requirements.txt").read_text(encoding="utf-8"))
    # Anywhere else the environment is its owner's.
    if unmet and (in_colab() or in_kaggle()):
        install(unmet)
    elif unmet:
        say(f"⚠️  Missing: {', '.join(unmet)}. Run `pip install -e {CHECKOUT}`.")
    say(f"✅ enstack {__version__}, {code_commit(CHECKOUT)}, from {CHECKOUT}")
    # Not unasked: Colab answers with a dialog, and Run all may stop for the mount alone.
    if use_hub_token:
        take_hub_token()
    if notebook_version < NOTEBOOK_VERSION:
        say(
            f"⚠️  This notebook is version {notebook_version}, the code expects version "
            f"{NOTEBOOK_VERSION}: open the newest notebook; your run folders stay good."
        )


def check_gpu() -> None:
    """Check what only a GPU can break, and how fast this one trains; a table for an issue."""
    lacking = [name for name in ("pytest", "hypothesis") if find_spec(name) is None]
    if lacking and (in_colab() or in_kaggle()):
        install(lacking)
    run_gpu_check()


def _show_own_warnings_plainly() -> None:
    """A setting that is forced off is said each time, in one line without a file's name."""
    from enstack.config import ForcedOffWarning

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        # By name, for after an update the class is another one.
        if category.__name__ == ForcedOffWarning.__name__:
            say(f"⚠️  {message}")
        else:
            before(message, category, *place, **more)

    before = warnings.showwarning
    warnings.simplefilter("always", ForcedOffWarning)
    warnings.showwarning = show


def take_hub_token() -> None:
    """Take HF_TOKEN from the notebook's secrets, which private and gated models ask for.

    Raises EnstackError, in one sentence, where there is none or the notebook may not read it.
    """
    if os.environ.get("HF_TOKEN"):
        return
    try:
        token = _secret("HF_TOKEN")
    except Exception as error:  # Colab and Kaggle each have types of their own
        reason = " ".join(str(error).split()) or type(error).__name__
        raise EnstackError(
            f"HF_TOKEN must be among the notebook's secrets ({reason}): add it there (in Colab the "
            "key symbol at the left, with access for this notebook), or untick USE_HF_TOKEN."
        ) from error
    # Where the hub's library looks for it.
    os.environ["HF_TOKEN"] = token
    say("🔑 HF_TOKEN is taken from the notebook's secrets")


def _secret(name: str) -> str:
    if in_colab():
        from google.colab import userdata

        return str(userdata.get(name))
    from kaggle_secrets import UserSecretsClient

    return str(UserSecretsClient().get_secret(name))


def flush_drive(root: Path = DRIVE_ROOT) -> None:
    """Wait until Drive has everything, and disconnect it: the one sure way before a runtime ends.

    Raises DriveError where Drive does not answer.
    """
    if not in_colab() or not _is_mounted(root):
        say("Google Drive is not connected: there is nothing to wait for.")
        return
    from google.colab import drive

    say("⏳ Waiting until Google Drive has everything ...")
    try:
        drive.flush_and_unmount()
    except Exception as error:  # Colab raises ValueError, OSError and a type of its own
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DriveError(
            f"Google Drive did not say that it has everything ({reason}): keep this runtime for a "
            "while, and look at drive.google.com whether the files have arrived."
        ) from error
    say("✅ Google Drive has everything and is disconnected. Cell 1 connects it again.")


def unmet_requirements(text: str) -> list[str]:
    """The lines of a requirements file that the installed packages do not meet."""
    from packaging.requirements import Requirement

    unmet = []
    for line in filter(None, map(str.strip, text.splitlines())):
        wanted = Requirement(line)
        try:
            found = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            unmet.append(line)
            continue
        # Colab's own builds are named like 2.11.0+cu128, or are pre-releases.
        if not wanted.specifier.contains(found, prereleases=True):
            unmet.append(line)
    return unmet


def install(requirements: list[str]) -> None:
    """Let pip add these, and nothing else; EnstackError gives its reason when it fails."""
    say(f"Installing {', '.join(requirements)} ...")
    # Without --upgrade: torch and the others stay as Colab ships them. And the kernel's own Python,
    # for a pip on the path may belong to another.
    command = [sys.executable, "-m", "pip", "install", "--quiet", *requirements]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = failure_reason(
            subprocess.CalledProcessError(done.returncode, "pip", stderr=done.stderr)
        )
        raise EnstackError(
            f"{', '.join(requirements)} must be installed, and pip failed ({reason}). "
            "Check the runtime's internet connection and run this cell again."
        )
    # So that this kernel finds what pip has added.
    importlib.invalidate_caches()
