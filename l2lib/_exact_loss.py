"""A loss as a function of a model's parameters alone, as exact as float64 is."""

import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks

from l2lib._exact_mode import ExactMode
from l2lib._float64 import wide
from l2lib._model_copy import RefusalError, is_real, private_copy, tensors_beside

Loss = Callable[[nn.Module], Tensor]
Values = Mapping[str, Tensor]


class ExactLoss:
    """Loss and gradient of a private copy of a model, wherever its parameters are put.

    Each evaluation starts from the same state: buffers, and tensors kept in
    attributes, are as they were.

    Attributes:
        start: the parameters' own values.
        frozen: the names of those that ask for no gradient.
        mode: how it is computed.
    """

    def __init__(self, model: nn.Module, loss: Loss) -> None:
        with torch.inference_mode(False):
            self._model = private_copy(model)
        self._loss = loss
        self._names = {module: name for name, module in self._model.named_modules()}
        named = dict(self._model.named_parameters())
        self._parameters = {name: p for name, p in named.items() if is_real(p)}
        self.start = {name: p.detach().clone() for name, p in self._parameters.items()}
        self._state = [_State(m) for m in self._model.modules() if not _is_script(m)]
        self.frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
        # Held, so that nothing else comes to lie where they are.
        self._theirs = {name: p.detach() for name, p in model.named_parameters() if p.numel()}
        self.mode = ExactMode(
            {
                int(p.untyped_storage()._cdata): (
                    f"loss reads {name!r} of the model itself, not of the model that it is handed; "
                    "use its argument, and a clone of what is meant as a constant"
                )
                for name, p in self._theirs.items()
            }
        )

    def value(self, values: Values) -> float:
        """The loss, perhaps not finite.

        Args:
            values: of all parameters, by name.

        Returns:
            The loss.

        Raises:
            RefusalError: if the loss fails, or is no number.
        """
        with self._exactly(values):
            return self._evaluate().item()

    def gradient(self, values: Values) -> tuple[float, dict[str, Tensor]]:
        """The loss and its gradient, as ``backward`` leaves it.

        Args:
            values: of all parameters, by name.

        Returns:
            The loss, and by name the gradient of each parameter: zeros where it has none.

        Raises:
            RefusalError: if either fails.
        """
        with self._exactly(values):
            value = self._evaluate()
            for p in self._parameters.values():
                p.grad = None
            if value.requires_grad:
                with _told("backward fails on a float64 copy of the model"):
                    value.backward()
        found = {}
        for name, p in self._parameters.items():
            g = torch.zeros_like(p) if p.grad is None else p.grad
            found[name] = (g if g.layout == torch.strided else g.to_dense()).detach()
            p.grad = None
        return value.item(), found

    def _evaluate(self) -> Tensor:
        with _told("loss fails on a float64 copy of the model"):
            return _number(self._loss(self._model))

    @contextmanager
    def _exactly(self, values: Values) -> Iterator[None]:
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode(False))  # and gradients on
            if "torch._dynamo" in sys.modules and hasattr(torch.compiler, "set_stance"):
                stack.enter_context(torch.compiler.set_stance("force_eager"))
            self._place(values)
            stack.callback(torch.set_default_dtype, torch.get_default_dtype())
            torch.set_default_dtype(torch.float64)
            stack.enter_context(self._told_where())
            stack.enter_context(self.mode)
            yield

    @torch.no_grad()
    def _place(self, values: Values) -> None:
        self.mode.forget()
        for state in self._state:
            state.restore()
        for name, p in self._parameters.items():
            p.copy_(values[name])

    @contextmanager
    def _told_where(self) -> Iterator[None]:
        """Keep the names of the modules that run, and make their inputs float64."""
        inside = self.mode.inside

        def enter(module: nn.Module, inputs: Any) -> Any:
            inside.append(self._names.get(module, ""))
            return wide(inputs)

        def leave(*_: Any) -> None:
            if inside:
                inside.pop()

        before = hooks.register_module_forward_pre_hook(enter)
        after = hooks.register_module_forward_hook(leave, always_call=True)
        try:
            yield
        finally:
            before.remove()
            after.remove()


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except RefusalError:
        raise
    except Exception as error:
        hint = "are its inputs float64? is all that it computes plain torch?"
        raise RefusalError(f"{what} ({hint}): {type(error).__name__}: {error}") from error


def _number(value: object) -> Tensor:
    wanted = "loss must be one number in float64 (a tensor of shape ())"
    if not isinstance(value, Tensor):
        its = "; return its .loss" if hasattr(value, "loss") else ""
        raise RefusalError(f"{wanted}, got {type(value).__name__}{its}")
    if value.numel() != 1 or value.dtype != torch.float64:
        raise RefusalError(f"{wanted}, got {value.dtype} of shape {tuple(value.shape)}")
    return value


def _is_script(module: nn.Module) -> bool:
    return isinstance(module, torch.jit.ScriptModule)


class _State:
    """A module's attributes and tensors, to be restored; what they hold deeper inside is not."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._attributes = {name: _shallow(value) for name, value in vars(module).items()}
        own = [t for _, t in tensors_beside(module) if not _overlaps(t)]
        self._tensors = [(t, t.detach().clone()) for t in own]

    def restore(self) -> None:
        vars(self._module).update({k: _shallow(v) for k, v in self._attributes.items()})
        for name in vars(self._module).keys() - self._attributes.keys():
            del vars(self._module)[name]
        for t, kept in self._tensors:
            t.detach().copy_(kept)


def _overlaps(t: Tensor) -> bool:
    """Whether several of its elements are one number, such as after expand: no state is kept so."""
    return any(n > 1 and step == 0 for n, step in zip(t.shape, t.stride(), strict=True))


def _shallow(value: Any) -> Any:
    return value.copy() if type(value) in {dict, list, set, OrderedDict} else value
