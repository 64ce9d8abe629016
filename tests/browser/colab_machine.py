"""A Colab machine on this one: /content, a drive, a published repository, a kernel like Colab's."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
NOTEBOOK = REPOSITORY / "notebooks" / "enstack_colab.ipynb"
SCAN_NOTEBOOK = NOTEBOOK.with_name("scan_your_code.ipynb")
FAKE_COLAB = REPOSITORY / "tests" / "fake_colab"
CONTENT = Path("/content")  # the package and the notebook know Colab's own path, and no other
OWNER = CONTENT / ".made-by-browser-tests"  # holds the process id of the tests that made /content
PUBLISHED_AT = "https://github.com/enstack/enstack"
PUBLISHED = (
    *("enstack", "notebooks", "requirements.txt", "setup.cfg", "pyproject.toml"),
    *("README.md", "LICENSE"),
)
# As in Colab: google.colab is there before the first cell runs, and /content is where it runs.
KERNEL_START = """
import os
os.chdir("/content")
import google.colab
from ipykernel.kernelapp import launch_new_instance
launch_new_instance()
"""


class NoContentError(Exception):
    """/content can't be made, or is somebody else's."""


class ColabMachine:
    """What a notebook finds in Colab. The drive outlives the machine; all else goes with it.

    folder: an empty folder for the drive, the published repository, the home and the kernel.
    kernel_python: the python that runs the kernel; it needs what requirements.txt names.
    Raises NoContentError where /content can't be made.
    """

    def __init__(self, folder: Path, *, kernel_python: str) -> None:
        self.folder, self.kernel_python = folder, kernel_python
        self.drive, self.home = folder / "drive", folder / "home"
        self.jupyter_path = folder / "jupyter"
        self.drive.mkdir(parents=True)
        self._claim_content()
        self.home.mkdir()
        self._publish()
        self._write_kernel()

    def renew(self) -> None:
        """Give the machine back and take a fresh one: what lay on the drive is all there is.

        No kernel may be at work: as long as one is, it may write to the old machine's folders.
        """
        for place in (CONTENT, self.home):
            for path in place.iterdir():
                if path != OWNER:
                    _remove(path)
        self._drive_note().unlink(missing_ok=True)

    def close(self) -> None:
        """Take /content away; the drive, which it only links to, stays."""
        shutil.rmtree(CONTENT)

    def _drive_note(self) -> Path:
        return self.folder / "drive.mounted_at"

    def _claim_content(self) -> None:
        if _left_behind():
            shutil.rmtree(CONTENT)
        try:
            CONTENT.mkdir()
        except FileExistsError:
            raise NoContentError(
                f"{CONTENT} is there already, and is not touched: move it away, or wait for the "
                "browser tests that made it."
            ) from None
        except OSError as error:
            raise NoContentError(f"{CONTENT} can't be made ({error}): run as root.") from None
        OWNER.write_text(str(os.getpid()))

    def _publish(self) -> None:
        """Commit the working tree as it is now, edits included, where the kernel will clone it."""
        published = self.folder / "published"
        published.mkdir()
        for name in PUBLISHED:
            source = REPOSITORY / name
            if source.is_dir():
                leave_out = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
                shutil.copytree(source, published / name, ignore=leave_out)
            else:
                shutil.copy(source, published)
        identity = ["-c", "user.name=someone", "-c", "user.email=someone@example.org"]
        for command in (
            ["init", "--quiet", "--initial-branch=main"],
            ["add", "--all"],
            [*identity, "commit", "--quiet", "--message", "the working tree"],
        ):
            subprocess.run(["git", *command], cwd=published, env=_plain_environment(), check=True)

    def _write_kernel(self) -> None:
        """The kernel that the notebook asks for by name, so that no dialog comes up."""
        folder = self.jupyter_path / "kernels" / "python3"
        folder.mkdir(parents=True)
        kernel = {
            "argv": [self.kernel_python, "-c", KERNEL_START, "-f", "{connection_file}"],
            "display_name": "Python 3",
            "language": "python",
            "env": self._kernel_environment(),
        }
        (folder / "kernel.json").write_text(json.dumps(kernel))

    def _kernel_environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.home),
            "IPYTHONDIR": str(self.home / ".ipython"),
            "PYTHONPATH": str(FAKE_COLAB),
            "FAKE_DRIVE": str(self.drive),
            "HF_HUB_OFFLINE": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.{self.folder / 'published'}.insteadOf",
            "GIT_CONFIG_VALUE_0": PUBLISHED_AT,
        }


def write_notebook(path: Path, notebook_file: Path = NOTEBOOK, **form: Any) -> Path:
    """Copy a notebook with other values in its forms, as a user types them in."""
    notebook = json.loads(notebook_file.read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for name, value in form.items():
        if sum(_type_in(cell, name, value) for cell in code) != 1:
            raise LookupError(f"One form field must be named {name}.")
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False), encoding="utf-8")
    return path


def _type_in(cell: dict[str, Any], name: str, value: Any) -> int:
    """Put a value into a cell's form field, and return how many fields have that name."""
    field, found = re.compile(rf"^{name} = .+(?= #@param)"), 0
    for number, line in enumerate(cell["source"]):
        cell["source"][number], count = field.subn(lambda _: f"{name} = {value!r}", line)
        found += count
    return found


def lab_environment(machine: ColabMachine) -> dict[str, str]:
    """The environment for JupyterLab: nothing of this user's settings, and the machine's kernel."""
    own = machine.folder / "lab"
    return {
        **_plain_environment(),
        "JUPYTER_PATH": str(machine.jupyter_path),
        "JUPYTER_PREFER_ENV_PATH": "0",
        "JUPYTER_CONFIG_DIR": str(own / "config"),
        "JUPYTER_DATA_DIR": str(own / "data"),
        "JUPYTER_RUNTIME_DIR": str(own / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(own / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(own / "workspaces"),
    }


def _plain_environment() -> dict[str, str]:
    """This process's environment without what the tests or an outer git or kernel put there."""
    strange = ("ENSTACK_", "GIT_", "JUPYTER", "PYTEST_", "PYTHON", "FAKE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(strange)}
    return {**kept, "GIT_CONFIG_GLOBAL": os.devnull}


def _left_behind() -> bool:
    """Whether /content was made by tests that are no more."""
    if not OWNER.is_file():
        return False
    try:
        os.kill(int(OWNER.read_text()), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, ValueError):
        return False
    return False


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
