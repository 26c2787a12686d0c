"""A contender's process: it waits for commands on stdin, obeys one at a time, and answers on stdout.

python -m experiments.bench.worker MODULE FUNCTION [CORE ...]

Commands are tuples: ("prepare", key, job) makes a task and gives the seconds that took; ("losses", key) runs it and
gives its losses; ("rate", key, seconds) runs it for at least so long and gives config-steps per second;
("forget", key).
"""

import importlib
import os
import pickle
import sys
import time
import traceback
from typing import Any

TASKS: dict[Any, Any] = {}


def obey(make: Any, command: str, key: Any, argument: Any = None) -> Any:
    """Do what a command says; return the answer."""
    began = time.perf_counter()
    if command == "prepare":
        TASKS[key] = argument, *make(argument)
        return time.perf_counter() - began
    job, run, losses = TASKS[key]
    if command == "losses":
        run()
        return [float(loss) for loss in losses()]
    if command == "forget":
        return TASKS.pop(key) and None
    runs = 0
    while not runs or time.perf_counter() - began < argument:
        run()
        runs += 1
    return runs * job.k * job.steps / (time.perf_counter() - began)


def main() -> None:
    """Serve until stdin is closed."""
    module, function, *cores = sys.argv[1:]
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, set(map(int, cores)))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print goes to stderr
    make = getattr(importlib.import_module(f"experiments.bench.{module}"), function)
    while True:
        try:
            command = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer = obey(make, *command)
        except Exception:
            answer = RuntimeError(traceback.format_exc())
        pickle.dump(answer, answers)
        answers.flush()


if __name__ == "__main__":
    main()
