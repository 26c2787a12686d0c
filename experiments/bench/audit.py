"""What l2lib.audit costs: python -m experiments.bench.audit, a minute on a quiet core.

A network of ten million numbers is trained with a look every 20 steps. Steps and looks are timed
apart, in seconds of a core, so that other programs that run meanwhile matter little; printed are
medians.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import nn, optim

from l2lib.audit import Watch

EVERY = 20
ALLOWED = 0.05


def network(width: int) -> nn.Sequential:
    """A batch-normalised network, about 2.5 width² numbers."""
    half = width // 2
    return nn.Sequential(
        nn.Linear(half, width, bias=False),
        nn.BatchNorm1d(width),
        nn.ReLU(),
        nn.Linear(width, width, bias=False),
        nn.BatchNorm1d(width),
        nn.ReLU(),
        nn.Linear(width, width),
        nn.ReLU(),
        nn.Linear(width, 10),
    )


def seconds(call: Callable[[], object]) -> float:
    """How long a core works on a call."""
    begin = time.process_time()
    call()
    return time.process_time() - begin


def main() -> int:
    """Time it, and say whether it is cheap enough."""
    parser = argparse.ArgumentParser(description="What l2lib.audit costs.")
    parser.add_argument("--width", type=int, default=2048, help="of the network")
    parser.add_argument("--batch", type=int, default=128, help="examples in a step")
    parser.add_argument("--rounds", type=int, default=5, help="of 20 steps and a look")
    parser.add_argument("--threads", type=int, default=1, help="that torch computes with")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    model = network(given.width)
    X = torch.randn(given.batch, given.width // 2)
    y = torch.randint(0, 10, (given.batch,))
    optimizer = optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    watch = Watch(model, optimizer)

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(X), y).backward()
        optimizer.step()

    step()  # what is done once
    watch.step()

    def count() -> None:
        watch._begin()
        watch._end()

    steps, looks, counts = [], [], []
    for _ in range(given.rounds):
        steps += [seconds(step) for _ in range(EVERY)]
        looks.append(seconds(watch.step))
        counts.append(seconds(count))
    size = sum(p.numel() for p in model.parameters())
    held = sum(p.nbytes for p in model.parameters())
    kept = sum(each.before.nbytes for each in watch._tracked.values() if each.before is not None)
    step_time, look, hook = map(statistics.median, (steps, looks, counts))
    share = look / (EVERY * step_time) + hook / step_time
    print(f"{size:,} numbers, batches of {given.batch}, {given.threads} threads, AdamW")
    print(f"a step            {1e3 * step_time:8.2f} ms, of which counting it {1e6 * hook:.0f} µs")
    print(f"a look            {1e3 * look:8.2f} ms, every {EVERY} steps")
    print(f"together          {share:8.2%} of a step; at most {ALLOWED:.0%} is wanted")
    print(f"memory            {kept / held:8.3f} copies of the parameters, {kept / 2**20:.1f} MB")
    return int(share > ALLOWED or kept > held)


if __name__ == "__main__":
    sys.exit(main())
