"""Which folders may be a run's own."""

from __future__ import annotations

from pathlib import Path

import pytest

import enstack
from enstack.errors import ConfigError
from enstack.storage.places import require_own_place

CHECKOUT = Path(enstack.__file__).resolve().parents[1]
SYSTEMS = [
    "/", "//", "/etc", "/etc/enstack", "/usr", "/usr/lib/x", "/bin/x", "/proc/self", "/sys/x",
    "/dev", "/boot/x", "/home", "/root", "/tmp", "/var", "/var/tmp", "/opt", "/mnt", "/media",
    "/content", "/content/drive", "/content/drive/MyDrive", "/content/drive/Shareddrives",
    "/tmp/../etc", "/home/anybody", "/kaggle", "~", "~/.cache", "~/.ssh",
    "/var/log", "/var/log/enstack", "/var/lib/x", "/var/cache/x", "/var/spool/x", "/run/x",
    "/snap/x", "/usr/share/x", "/usr/local/bin", "/usr/local/lib", "/var/run/x", "~/.ssh/runs",
    "~/.gnupg/x", "~/.local/bin", "/var/opt", "/run/user", "/lib64/x",
]  # fmt: skip
ALLOWED = [
    "/content/drive/MyDrive/EnStack/run", "/content/local", "/tmp/enstack", "/dev/shm/enstack",
    "/home/anybody/runs", "/mnt/data", "/usr/local/share/runs", "/kaggle/working", "/data",
    "/content/drive/Shareddrives/team/run", "~/runs", "~/.cache/enstack", "/etcetera", "/media/x",
    "/scratch/me", "/opt/work", "/srv/runs", "/var/scratch/me", "/var/tmp/run",
    "/run/user/1000/run", "/run/media/me/disk", "/workspace", "/root/runs", "/media/me/disk/run",
]  # fmt: skip


def expanded(path: str) -> Path:
    return Path(path).expanduser()


@pytest.mark.parametrize("setting", ["run_dir", "local_dir"])
@pytest.mark.parametrize("path", [*SYSTEMS, str(CHECKOUT), str(CHECKOUT / "enstack" / "data")])
def test_a_folder_that_others_need_is_refused_with_what_to_do(path: str, setting: str) -> None:
    with pytest.raises(ConfigError, match=rf"{setting} must be a folder of its own") as caught:
        require_own_place(expanded(path), setting)
    assert f"Name a folder of its own within a place where you may write, such as {setting}=" in (
        str(caught.value)
    )
    # Its advice works.
    require_own_place(expanded(str(caught.value).rsplit("=", 1)[1].rstrip(".")), setting)


@pytest.mark.parametrize("path", ALLOWED)
def test_a_folder_within_the_places_of_users_is_allowed(path: str) -> None:
    for setting in ("run_dir", "local_dir"):
        require_own_place(expanded(path), setting)


def test_a_link_to_a_folder_that_others_need_is_refused_as_that_folder(tmp_path: Path) -> None:
    (tmp_path / "run").symlink_to("/etc")
    with pytest.raises(ConfigError, match=r"run is .*etc, a folder of the system"):
        require_own_place(tmp_path / "run", "run_dir")


def test_a_folder_of_its_own_is_not_that_of_the_data_nor_around_it(tmp_path: Path) -> None:
    data = tmp_path / "project" / "data"
    for folder in (data, tmp_path / "project", tmp_path):
        with pytest.raises(ConfigError, match=r"local_dir must be a folder of its own.*data_dir"):
            require_own_place(folder, "local_dir", {"data_dir": data})
    require_own_place(data / "scratch", "local_dir", {"data_dir": data})
    require_own_place(tmp_path / "project" / "scratch", "local_dir", {"data_dir": data})


def test_the_folder_that_is_proposed_for_another_settings_lies_beside_it(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    with pytest.raises(ConfigError, match="must be a folder of its own") as error:
        require_own_place(run_dir, "local_dir", {"run_dir": run_dir})
    assert f"such as local_dir={tmp_path / 'enstack_local_dir'}." in f"{error.value}"
