"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from lava_mlsnn.errors import ConfigError

__all__ = ["write_atomic"]


def write_atomic(path: Path, data: bytes, overwrite: bool = True) -> Path:
    """Write bytes so that ``path`` holds the old file or the whole new one.

    The bytes go to a temporary file in the same folder, to the disk, and are then
    renamed. On any error, an interrupt included, the temporary file is removed.

    Raises
    ------
    ConfigError
        If the folder is missing or not writable, the path is a folder, the disk is
        full, or the file exists and ``overwrite`` is False.
    """
    if path.is_dir():
        raise ConfigError("a file must be named, but this is a folder", str(path))
    if not overwrite and path.exists():
        raise ConfigError("the file exists; choose another name or allow overwriting", str(path))
    # the final name may be as long as the file system allows, so do not build on it
    temporary = path.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        _write(temporary, data)
        os.replace(temporary, path)
    except OSError as error:
        raise ConfigError(
            f"the file cannot be written ({error.strerror or error}); "
            "choose a folder that exists, can be written and has room",
            str(path),
        ) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)
    return path


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
