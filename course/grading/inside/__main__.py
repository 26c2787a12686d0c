"""Run a student's cells, then answer questions, over the socket that is standard input."""

import builtins
import contextlib
import errno
import os
import socket
import sys
from typing import Any

from course.grading.inside.wire import Bounds, receive, send

FORBIDDEN = (
    *(
        "unshare",
        "setns",
        "mount",
        "keyctl",
        "add_key",
        "request_key",
    ),  # ways to rights, and to leave word for others
    *("memfd_create", "shmget", "msgget", "mq_open"),  # memory that no limit counts
    *(
        "ptrace",
        "process_vm_readv",
        "process_vm_writev",
        "bpf",
        "perf_event_open",
        "io_uring_setup",
        "userfaultfd",
    ),
)
_NEW_USER = 0x10000000  # clone's flag for a user namespace of its own
_SHARED = 0x21  # mmap's flags for memory that is in no file and can be let go without being freed


def main() -> None:
    """Take the cells and the limits, confine this process, run the cells, answer."""
    wire = socket.socket(fileno=os.dup(0))
    job = receive(wire)
    cells = job.pop("cells")
    confine(Bounds(**job))
    shell = new_shell()
    silence()
    send(wire, {"begun": -1})
    errors = []
    for number, code in enumerate(cells):
        if code is not None:
            send(wire, {"begun": number})
            errors += [[number, *problem] for problem in run(shell, code)]
    send(wire, {"ran": errors})
    while True:
        send(wire, answer(shell.user_ns, receive(wire)))


def confine(bounds: Bounds) -> None:
    """Set limits that this process and its children cannot lift again, and cease to be root."""
    import resource  # not on Windows, where the tests of the problem sets import this module too

    kinds = {"RLIMIT_DATA": 1, "RLIMIT_AS": 4}
    limits = {name: factor * bounds.memory for name, factor in kinds.items()}
    limits |= {"RLIMIT_CPU": bounds.seconds, "RLIMIT_FSIZE": bounds.disk}
    limits |= {"RLIMIT_NPROC": bounds.processes, "RLIMIT_CORE": 0, "RLIMIT_NOFILE": 256}
    for name, value in limits.items():
        with contextlib.suppress(ValueError, OSError):  # systems other than Linux lack some
            resource.setrlimit(getattr(resource, name), (value, value))
    if os.getuid() == 0:
        give_up_root(bounds.uid)
    os.umask(0o077)
    if sys.platform == "linux":
        forbid()


def give_up_root(uid: int) -> None:
    """Become a user without rights, for good; the process ends where it cannot."""
    try:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    except OSError as error:
        sys.exit(f"root cannot become user {uid} ({error.strerror})")


def forbid() -> None:
    """Give up system calls that no answer needs, for this process and its children."""
    try:
        import pyseccomp
    except (OSError, RuntimeError):
        how = "Debian, Ubuntu: apt-get install libseccomp2"
        sys.exit(f"the system's library libseccomp is missing; install it ({how})")
    calls = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    for name in FORBIDDEN:
        calls.add_rule(pyseccomp.ERRNO(errno.EPERM), name)
    calls.add_rule(
        pyseccomp.ERRNO(errno.EPERM),
        "clone",
        pyseccomp.Arg(0, pyseccomp.MASKED_EQ, _NEW_USER, _NEW_USER),
    )
    calls.add_rule(
        pyseccomp.ERRNO(errno.EPERM),
        "mmap",
        pyseccomp.Arg(3, pyseccomp.MASKED_EQ, _SHARED, _SHARED),
    )
    calls.add_rule(
        pyseccomp.ERRNO(errno.ENOSYS), "clone3"
    )  # no filter sees its flags; libraries fall back on clone
    calls.load()


def silence() -> None:
    """Read from nowhere and print to nowhere, however much."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)


def new_shell() -> Any:
    """IPython's shell, as in a notebook, without a history on disk."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    shell: Any = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    shell.enable_gui = lambda gui=None: None  # what %matplotlib calls
    sys.path.insert(0, "")
    return shell


def run(shell: Any, code: str) -> list[tuple[str, int]]:
    """Run one cell; return the error it stopped with: its type, and the line of the cell."""
    try:
        result = shell.run_cell(code, store_history=False)
        error = result.error_before_exec or result.error_in_exec
    except BaseException as raised:
        error = raised
    if error is None:
        return []
    return [(name_of(error), line_of(error) or 0)]


def line_of(error: BaseException) -> int | None:
    """The line of the cell at which an error stopped it; None if it tells none."""
    line: int | None = getattr(error, "lineno", None) if isinstance(error, SyntaxError) else None
    if line is not None:
        return line
    trace = error.__traceback__
    while trace is not None:
        if "ipython-input" in trace.tb_frame.f_code.co_filename:
            return trace.tb_lineno
        trace = trace.tb_next
    return None


def name_of(error: BaseException) -> str:
    """The nearest built-in type of an error: never its text, which may hold what a test sent."""
    names = (kind.__name__ for kind in type(error).__mro__ if _is_builtin(kind))
    return next(names)


def _is_builtin(kind: type) -> bool:
    return getattr(builtins, kind.__name__, None) is kind


def answer(names: dict[str, Any], question: dict[str, Any]) -> dict[str, Any]:
    """Say what a name is, or call it with data."""
    try:
        if question["name"] not in names:
            return {"missing": True}
        found = names[question["name"]]
        if "args" in question:
            return {"value": found(*question["args"], **question["kwargs"])}
        return {"function": True} if callable(found) else {"value": found}
    except BaseException as error:
        return {"raised": name_of(error)}


if __name__ == "__main__":
    main()
