"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from netx_export.errors import ConfigError

__all__ = ["as_path", "discard_temporaries", "make_folder", "not_over", "write_atomic"]

TEMPORARY = re.compile(r"\.mlsnn-[0-9a-f]{16}\.tmp")
ACL = "system.posix_acl_access"
_open_now: set[Path] = set()


def as_path(value: Any) -> Path:
    """The value as a Path; ConfigError if it cannot be one."""
    try:
        return Path(value)
    except TypeError:
        raise ConfigError(
            f"a path must be text or a Path, got {type(value).__name__}; give the path of a file"
        ) from None


def not_over(path: Path | None, source: Path) -> None:
    """ConfigError if a result would replace the file that it is made from."""
    with contextlib.suppress(OSError):  # there is no such file: nothing is replaced
        if path is not None and os.path.samefile(path, source):
            raise ConfigError(
                "this is the file that is read; name another for the result", str(path)
            )


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
    renamed. On any error, an interrupt included, the temporary file is removed; one that a
    killed process left is removed by the next write into the folder. A file that is
    overwritten keeps its permissions, and its owner and group where the system lets us; a
    new one follows the umask. A symbolic link stays, and what it points at is written.

    Raises
    ------
    ConfigError
        If the folder is missing or not writable, the path is a folder, a device or a
        pipe, the disk is full, or the file exists and ``overwrite`` is False.
    """
    try:
        # a rename would put the file in place of the link
        target = Path(os.path.realpath(path))
        old = _check_target(path, target, overwrite)
        _remove_stale(target.parent)
        with _temporary(target.parent, private=old is not None) as (descriptor, temporary):
            if old is not None:
                _keep_access(descriptor, target, old)
            _write(descriptor, data)
            os.replace(temporary, target)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(
            f"the file cannot be written ({getattr(error, 'strerror', None) or error}); "
            "choose a name and a folder that exists, can be written and has room",
            str(path),
        ) from None
    _sync_folder(target.parent)
    return path


def discard_temporaries() -> None:
    """Remove what this process is writing just now: it is about to end."""
    for path in list(_open_now):
        with contextlib.suppress(OSError):
            path.unlink()


def _check_target(path: Path, target: Path, overwrite: bool) -> os.stat_result | None:
    try:
        old = os.stat(target)
    except FileNotFoundError:
        return None
    mode = old.st_mode
    if stat.S_ISDIR(mode):
        raise ConfigError("a file must be named, but this is a folder", str(path))
    if not stat.S_ISREG(mode):  # root could replace /dev/null by a file
        raise ConfigError(
            "a file must be named, but this is a device, pipe or socket; name another", str(path)
        )
    if not overwrite:
        raise ConfigError("the file exists; choose another name or allow overwriting", str(path))
    return old


@contextlib.contextmanager
def _temporary(folder: Path, private: bool) -> Iterator[tuple[int, Path]]:
    """A new file that is locked, and removed in the end unless it was renamed.

    The lock tells others that its writer is alive; the system lifts it with the process.
    """
    # mode 666 minus the umask, as open() gives and mkstemp does not
    mode = 0o600 if private else 0o666
    while True:
        # the final name may be as long as the file system allows, so do not build on it
        path = folder / f".mlsnn-{secrets.token_hex(8)}.tmp"
        _open_now.add(path)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            try:
                with contextlib.suppress(OSError):  # a file system without locks
                    fcntl.flock(descriptor, fcntl.LOCK_EX)
                if not os.fstat(descriptor).st_nlink:
                    continue  # taken for stale before it was locked
                yield descriptor, path
                return
            finally:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
                os.close(descriptor)
        finally:
            _open_now.discard(path)


def _remove_stale(folder: Path) -> None:
    """Remove the temporary files of processes that are gone."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for name in [e.name for e in entries if TEMPORARY.fullmatch(e.name)]:
            with contextlib.suppress(OSError):
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                descriptor = os.open(folder / name, flags)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if stat.S_ISREG(os.fstat(descriptor).st_mode):
                        os.unlink(folder / name)
                finally:
                    os.close(descriptor)


def _keep_access(descriptor: int, target: Path, old: os.stat_result) -> None:
    """Owner, group, access list and permissions of the file that is replaced."""
    mode = stat.S_IMODE(old.st_mode) & 0o777
    try:
        new = os.fstat(descriptor)
        if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
            os.fchown(descriptor, old.st_uid, old.st_gid)
        if hasattr(os, "listxattr"):
            if ACL in os.listxattr(target):
                os.setxattr(descriptor, ACL, os.getxattr(target, ACL))
            elif ACL in os.listxattr(descriptor):  # from the folder
                os.removexattr(descriptor, ACL)
    except OSError:
        mode &= 0o707  # another group than before must not read what that one might
    os.fchmod(descriptor, mode)


def _write(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
    os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    """Make the new name survive a power cut, where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
