"""The interpreter where users without rights can read it: a copy, if its folder is closed to them.

As root and without bubblewrap a submission changes its user. pyenv, conda and uv put the
interpreter under root's home folder, which other users may not enter, and Python reads its library
while it runs. So it reads a copy, elsewhere.
"""

import contextlib
import os
import re
import shutil
import stat
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

PROGRAM = Path(sys.executable).resolve()
"""This interpreter's executable."""
LIBRARY = Path(sysconfig.get_path("stdlib"))
"""The folder of this interpreter's standard library."""
PACKAGES = tuple(dict.fromkeys(Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")))
"""The folders of this environment's packages."""
_NOT_COPIED = shutil.ignore_patterns(
    "*-packages", "config-*", "test", "tests", "idlelib", "ensurepip", "*.opt-?.pyc"
)
_LISTED = stat.S_IROTH | stat.S_IXOTH
_LINKED = (
    "_bz2",
    "_ctypes",
    "_curses",
    "_decimal",
    "_hashlib",
    "_lzma",
    "_sqlite3",
    "_ssl",
    "_uuid",
    "zlib",
)


def closed(folder: Path) -> Path | None:
    """Find what keeps users without rights from a folder.

    Args:
        folder: it must be there. The way that its name says counts, and the one to which links on
            it lead.

    Returns:
        The first of the folder and those above it that they may not enter; None if they may enter
        all.
    """
    for way in (folder.absolute(), folder.resolve()):
        for each in (*reversed(way.parents), way):
            if not each.stat().st_mode & stat.S_IXOTH:
                return each
    return None


def hidden(*folders: Path) -> Path | None:
    """Find what users without rights may not read below folders that they may enter.

    Args:
        *folders: each is read to its depth, but for packages and the tests of Python itself.

    Returns:
        The first file or folder; None if they may read all.
    """
    for folder in folders:
        for path, needed in _below(folder):
            if path.exists() and path.stat().st_mode & needed != needed:
                return path
    return None


def _below(folder: Path) -> Iterator[tuple[Path, int]]:
    """A folder and all that submissions may need of it, each with the rights that they need."""
    yield folder, _LISTED
    for above, names, files in os.walk(folder):
        names[:] = sorted({*names} - _NOT_COPIED(above, names) - {"__pycache__"})
        yield from ((Path(above, name), _LISTED) for name in names)
        yield from ((Path(above, name), stat.S_IROTH) for name in files)


def unreadable() -> Path | None:
    """What keeps users without rights from this interpreter; None if they can use it."""
    return closed(LIBRARY) or closed(PROGRAM.parent) or hidden(LIBRARY)


@contextlib.contextmanager
def copied() -> Iterator[str]:
    """A copy of Python that all can read and only its owner can change; removed afterwards.

    It has the executable, the standard library, and those shared libraries of both that lie in
    closed folders; in an environment beside it, which links to the packages of this one.

    Yields:
        The path of the environment's executable.

    Raises:
        OSError: if there is no place for it, such as on a full disk, or on one that allows no
            programs.
        ValueError: if the interpreter's folders do not lie in one.
    """
    with tempfile.TemporaryDirectory(prefix="python-") as name:
        folder = Path(name)
        if os.statvfs(folder).f_flag & os.ST_NOEXEC:
            raise OSError(f"{folder.parent} allows no programs: it is mounted noexec")
        _copy(folder)
        python = _environment(folder)
        for each in (folder, *folder.rglob("*")):
            if not each.is_symlink():
                each.chmod(0o755)  # whatever this umask is, and the one with which it was installed
        yield str(python)


def _copy(into: Path) -> None:
    """Copy the interpreter into an empty folder."""
    library = into / LIBRARY.relative_to(sys.base_prefix)
    shutil.copytree(LIBRARY, library, ignore=_NOT_COPIED, ignore_dangling_symlinks=True)
    for name in ("bin", "lib"):
        (into / name).mkdir(exist_ok=True)
    shutil.copy2(PROGRAM, into / "bin/python3")
    for path in _shared_libraries(PROGRAM, *LIBRARY.glob("lib-dynload/*.so")):
        shutil.copy2(path, into / "lib")


def _environment(base: Path) -> Path:
    """Make an environment of a copied Python, with this one's packages; return its executable."""
    prefix = base / "environment"
    for path in PACKAGES:
        link = prefix / path.relative_to(sys.prefix)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    (prefix / "pyvenv.cfg").write_text(
        f"home = {base / 'bin'}\ninclude-system-site-packages = false\n"
    )
    (prefix / "bin").mkdir()
    (prefix / "bin/python3").symlink_to("../../bin/python3")
    return prefix / "bin/python3"


def _shared_libraries(*files: Path) -> list[Path]:
    """Shared libraries in closed folders that these files need, as the loader finds them."""
    said = subprocess.run(["ldd", *files], capture_output=True, text=True, check=False).stdout
    found = {Path(path) for path in re.findall(r"=> (/.*) \(0x", said)}
    return sorted(path for path in found if closed(path.parent))


def parts() -> str:
    """Code that imports those modules of the standard library that load shared libraries."""
    return "\n".join(f"import {name}" for name in _LINKED if find_spec(name))
