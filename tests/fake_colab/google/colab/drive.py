"""Mount a folder as if it were Google Drive.

The folder that the environment variable FAKE_DRIVE names is the drive: MOUNTPOINT/MyDrive leads to
it while it is mounted, and what lies in it outlives kernels, machines and unmounting.
"""

import os
from pathlib import Path

__all__ = ["flush_and_unmount", "mount"]


def flush_and_unmount(timeout_ms=24 * 60 * 60 * 1000):
    """Unmount the drive; what was written to it is kept."""
    mounted = _note()
    if not mounted.exists():
        print("Drive not mounted, so nothing to flush and unmount.")
        return
    _unmount(Path(mounted.read_text(encoding="utf-8")))


def mount(mountpoint, force_remount=False, timeout_ms=120000, readonly=False):
    """Mount the drive at a folder that is absent or empty; nothing is asked."""
    if readonly:
        raise NotImplementedError("The fake drive can't be mounted read-only.")
    if " " in mountpoint:
        raise ValueError("Mountpoint must not contain a space.")
    place = Path(mountpoint).expanduser()
    if (place / "MyDrive").is_symlink():
        if not force_remount:
            print(
                f"Drive already mounted at {mountpoint}; to attempt to forcibly remount, call "
                f'drive.mount("{mountpoint}", force_remount=True).'
            )
            return
        _unmount(place)
    _refuse(place)
    place.mkdir(exist_ok=True)
    (place / "MyDrive").symlink_to(_backing(), target_is_directory=True)
    _note().write_text(str(place), encoding="utf-8")
    print(f"Mounted at {mountpoint}")


def _refuse(place):
    if place.is_symlink():
        raise ValueError("Mountpoint must not be a symlink")
    if place.is_dir() and any(place.iterdir()):
        raise ValueError("Mountpoint must not already contain files")
    if place.exists() and not place.is_dir():
        raise ValueError("Mountpoint must either be a directory or not exist")
    if not place.absolute().parent.exists():
        raise ValueError("Mountpoint must be in a directory that exists")


def _unmount(place):
    (place / "MyDrive").unlink(missing_ok=True)
    _note().unlink(missing_ok=True)


def _backing():
    backing = Path(os.environ["FAKE_DRIVE"]).absolute()
    backing.mkdir(parents=True, exist_ok=True)
    return backing


def _note():
    """Where it is mounted: a file beside the drive, for a mount outlives the kernel."""
    backing = _backing()
    return backing.with_name(f"{backing.name}.mounted_at")
