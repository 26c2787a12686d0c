"""What a process inside may see and use: bubblewrap's command line, its environment, the limits."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_SYSTEM = (
    "/usr",
    "/nix/store",
    "/etc/ld.so.cache",
    "/etc/alternatives",
    "/etc/fonts",
    "/etc/localtime",
)
_OURS = ("l2lib", "course/__init__.py", "course/grading/__init__.py", "course/grading/inside")
_OUTSIDE_USR = ("/bin", "/lib", "/lib32", "/lib64", "/sbin")


@dataclass(frozen=True)
class Limits:
    """What one submission may use; times in seconds, sizes in bytes."""

    total: float = 600
    cell: float = 120
    call: float = 20
    test: float = 60
    memory: int = 4 * 2**30
    disk: int = 2**28
    processes: int = 64
    namespaces: bool = True
    python: str = sys.executable
    """The interpreter: this one, or a copy that other users can read."""
    hidden: tuple[str, ...] = ()
    """Folders that must not be seen, even where they lie in one that is needed."""


def command(limits: Limits) -> list[str]:
    """The command line that starts Python inside."""
    python = [limits.python, "-B", "-s", "-P", "-m", "course.grading.inside"]
    return [*_bubblewrap(limits), *python] if limits.namespaces else python


def _bubblewrap(limits: Limits) -> list[str]:
    """No network, own processes, Python and its libraries read-only, and a small writable /tmp."""
    options = [
        "--unshare-net",
        "--unshare-pid",
        "--unshare-ipc",
        "--unshare-uts",
        "--unshare-cgroup-try",
    ]
    options += ["--die-with-parent", "--cap-drop", "ALL"]
    if os.getuid() == 0:  # inside/__main__ ceases to be root, and loses these with it
        options += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    scratch = ["--perms", "1777", "--size", str(limits.disk), "--tmpfs"]
    options += _view(limits, scratch)
    for path in _OUTSIDE_USR:
        if os.path.islink(path):
            options += ["--symlink", os.readlink(path), path]
        elif os.path.exists(path):
            options += ["--ro-bind", path, path]
    options += ["--proc", "/proc", "--dev", "/dev", *scratch, "/dev/shm"]
    options += [
        "--ro-bind",
        "/dev/null",
        "/dev/zero",
    ]  # memory mapped from there, no limit would count
    options += ["--remount-ro", "/dev"]
    return ["bwrap", *options, "--remount-ro", "/", "--chdir", "/tmp", "--"]


def _view(limits: Limits, scratch: list[str]) -> list[str]:
    """Mounts, a folder before what is in it: what is needed, and nothing where all is hidden."""
    needed = _needed()
    hidden = {path for path in limits.hidden if _lies_in(path, needed)} - needed
    parents = {str(parent) for path in needed for parent in Path(path).parents} - {"/"}
    options = []
    for path in sorted({"/tmp"} | needed | hidden | parents, key=_depth):
        if path == "/tmp":
            options += [*scratch, path]
        elif path in needed:
            options += ["--ro-bind", path, path]
        else:  # bubblewrap would make a parent that only its owner may enter
            options += ["--perms", "0755", "--tmpfs" if path in hidden else "--dir", path]
    return options


def _needed() -> set[str]:
    """What there is of the system, of Python, and of the project's code for submissions."""
    candidates = {*_SYSTEM, *_prefixes()}
    return {path for path in candidates if os.path.exists(path)} | {
        str(ROOT / name) for name in _OURS
    }


def _prefixes() -> set[str]:
    """The folders of Python, its packages and its libraries, by all their names."""
    prefixes = {sys.prefix, sys.base_prefix, str(Path(sys.executable).parent)}
    prefixes |= {path for path in sys.path if path.endswith("-packages")}
    prefixes |= {*_library_path()}
    prefixes |= {os.path.realpath(path) for path in prefixes}
    # Whatever LD_LIBRARY_PATH says: neither the project as a whole nor anybody's files.
    home = Path(os.path.expanduser("~"))
    return prefixes - {str(path) for path in (ROOT, *ROOT.parents, home, *home.parents)}


def _library_path() -> list[str]:
    """Where the caller has libraries; an empty or relative part would be the student's folder."""
    given = os.environ.get("LD_LIBRARY_PATH", "").split(":")
    return [path for path in given if os.path.isabs(path)]


def _lies_in(path: str, folders: set[str]) -> bool:
    return any(Path(path).is_relative_to(folder) for folder in folders)


def _depth(path: str) -> tuple[int, str]:
    return len(Path(path).parts), path


def environment(limits: Limits, scratch: str) -> dict[str, str]:
    """A clean environment: nothing of the caller's but where libraries are."""
    home = "/tmp" if limits.namespaces else scratch
    folders = {"HOME": home, "TMPDIR": home, "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    quiet = {
        "MPLBACKEND": "Agg",
        "TQDM_DISABLE": "1",
        "LANG": "C.UTF-8",
        "USER": "student",
        "LOGNAME": "student",
    }
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return folders | quiet | threads | _libraries(limits)


def _libraries(limits: Limits) -> dict[str, str]:
    """Where libraries are: beside a copy of Python, and where the caller has them."""
    places = []
    if limits.python != sys.executable:
        base = Path(limits.python).resolve().parent.parent
        places.append(str(base / "lib"))
    places += _library_path()
    return {"LD_LIBRARY_PATH": ":".join(places)} if places else {}


WITHOUT = """\
WARNING: the submissions run without bubblewrap ({why}).
What still holds: limits on time, memory, processes and the size of a file; tests are never in a
student's process; all processes of a submission are ended; a clean environment{root}.
What is NOT guaranteed: a submission can read what this user can read ({reads}),
write where this user can write, use the network{kills}.
Install bubblewrap, or run in a container: see "What protects you" on the instructors' page.
"""


def warning(why: str) -> str:
    """What is not guaranteed without namespaces."""
    if os.getuid() == 0:
        return WITHOUT.format(
            why=why,
            root=", as a user without rights",
            reads="other than root's own files",
            kills="",
        )
    reads = "other submissions and the hidden tests among it"
    return WITHOUT.format(
        why=why, root="", reads=reads, kills=", and end other processes of this user, this one too"
    )
