"""``python -m l2lib.audit``: two checkpoints from the command line."""

import argparse
import sys
from collections.abc import Sequence

from l2lib._checkpoints import loaded


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the audit of two checkpoints.

    Args:
        arguments: of the command line; None takes those of the process.

    Returns:
        0, or 2 where something is wrong with what was given, as standard error then says.
    """
    given = _parser().parse_args(arguments)
    from l2lib.audit import compare

    try:
        audit = compare(
            loaded(given.before),
            loaded(given.after),
            lr=given.lr,
            weight_decay=given.weight_decay,
            steps=given.steps,
            optimizer=given.optimizer,
            momentum=given.momentum,
            total_steps=given.total_steps,
            names=given.names,
            no_decay=given.no_decay,
        )
    except ValueError as error:
        print(f"l2lib.audit: {error}", file=sys.stderr)
        return 2
    print(audit)
    return 0


def _parser() -> argparse.ArgumentParser:
    about = "What weight decay did to each tensor between two checkpoints of one run."
    parser = argparse.ArgumentParser("python -m l2lib.audit", description=about, allow_abbrev=False)
    told = "torch.save(model.state_dict(), …) or safetensors; loaded so that nothing in it can run"
    parser.add_argument("before", help=f"the earlier checkpoint: {told}")
    parser.add_argument("after", help="the later one")
    parser.add_argument("--lr", type=float, required=True, help="η between them, > 0, on average")
    parser.add_argument("--weight-decay", type=float, required=True, help="λ ≥ 0")
    parser.add_argument("--steps", type=int, required=True, help="of the optimiser between them")
    kinds = "adamw: decay beside updates of one length (the default); sgd: λ in the gradient"
    parser.add_argument("--optimizer", choices=["adamw", "sgd"], default="adamw", help=kinds)
    parser.add_argument("--momentum", type=float, help="β₁ (default 0.9) or μ (default 0)")
    parser.add_argument("--total-steps", type=int, help="of the run, from the first checkpoint on")
    some, none = "tensors to compare; all if left out", "tensors whose λ is 0"
    parser.add_argument("--names", nargs="+", metavar="GLOB", help=some)
    parser.add_argument("--no-decay", nargs="+", metavar="GLOB", default=(), help=none)
    return parser
