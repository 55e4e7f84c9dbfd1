"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path
from typing import Any

from netx_export.errors import ConfigError

__all__ = ["as_path", "make_folder", "write_atomic"]


def as_path(value: Any) -> Path:
    """The value as a Path; ConfigError if it cannot be one."""
    try:
        return Path(value)
    except TypeError:
        raise ConfigError(
            f"a path must be text or a Path, got {type(value).__name__}; give the path of a file"
        ) from None


def make_folder(path: Path, option: str = "--out") -> None:
    """Create a folder with its parents; ConfigError names the option if that cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"the folder cannot be made ({error.strerror}); name another with {option}", str(path)
        ) from None


def write_atomic(path: Path, data: bytes, overwrite: bool = True) -> Path:
    """Write bytes so that ``path`` holds the old file or the whole new one.

    The bytes go to a temporary file in the same folder, to the disk, and are then
    renamed. On any error, an interrupt included, the temporary file is removed.
    A symbolic link stays, and what it points at is written.

    Raises
    ------
    ConfigError
        If the folder is missing or not writable, the path is a folder, a device or a
        pipe, the disk is full, or the file exists and ``overwrite`` is False.
    """
    temporary: Path | None = None
    try:
        # a rename would put the file in place of the link
        target = Path(os.path.realpath(path))
        _check_target(path, target, overwrite)
        # the final name may be as long as the file system allows, so do not build on it
        temporary = target.parent / f".{secrets.token_hex(8)}.tmp"
        _write(temporary, data)
        os.replace(temporary, target)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(
            f"the file cannot be written ({getattr(error, 'strerror', None) or error}); "
            "choose a name and a folder that exists, can be written and has room",
            str(path),
        ) from None
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
    _sync_folder(target.parent)
    return path


def _check_target(path: Path, target: Path, overwrite: bool) -> None:
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        raise ConfigError("a file must be named, but this is a folder", str(path))
    if not stat.S_ISREG(mode):  # root could replace /dev/null by a file
        raise ConfigError(
            "a file must be named, but this is a device, pipe or socket; name another", str(path)
        )
    if not overwrite:
        raise ConfigError("the file exists; choose another name or allow overwriting", str(path))


def _write(path: Path, data: bytes) -> None:
    # mode 666 minus the umask, as open() gives and mkstemp does not
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    with open(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make the new name survive a power cut, where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
