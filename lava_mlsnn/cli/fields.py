"""Options of a command that are the fields of a record."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from inspect import Parameter, Signature, signature
from typing import Annotated, Any

import typer

from lava_mlsnn.option import Option, Options, options_of

__all__ = ["Fields", "is_given", "with_fields"]


class Fields:
    """Marks a parameter of a command that stands for options of a record.

    Parameters
    ----------
    record : Options or type
        A record, whose values are the defaults; or a class of records: an option that is
        left out is None.
    *names : str
        Of the fields; none: all that ask for a place on the command line.
    """

    def __init__(self, record: Options | type[Options], *names: str) -> None:
        self.record, self.names = record, names

    def parameters(self) -> Iterator[Parameter]:
        """The options as typer takes them."""
        for name, value, option in options_of(self.record):
            if option.cli and (not self.names or name in self.names):
                default = None if isinstance(self.record, type) else value
                yield Parameter(
                    name,
                    Parameter.KEYWORD_ONLY,
                    default=default,
                    annotation=_hint(name, default, option),
                )


def _hint(name: str, default: Any, option: Option) -> Any:
    kind, flag = option.kind, f"--{name.replace('_', '-')}"
    if kind.type is bool and default is not False:
        flag += f"/--no-{flag[2:]}"
    notes = [f"default: {default}"] if default is not None and kind.type is not bool else []
    notes += [kind.range] if kind.range else []
    help = option.help + (f"  [{'; '.join(notes)}]" if notes else "")
    hint: Any = kind.type | None if default is None else kind.type
    return Annotated[hint, typer.Option(*(option.flags or (flag,)), help=help, show_default=False)]


def with_fields(command: Callable[..., None]) -> Callable[..., None]:
    """The command with options in place of its :class:`Fields`, each of which it gets as a dict."""
    parameters: list[Parameter] = []
    groups: dict[str, list[str]] = {}
    for name, parameter in signature(command, eval_str=True).parameters.items():
        notes = getattr(parameter.annotation, "__metadata__", ())
        marks = [note for note in notes if isinstance(note, Fields)]
        if marks:
            found = list(marks[0].parameters())
            groups[name] = [p.name for p in found]
            parameters += found
        else:
            parameters.append(parameter)

    @functools.wraps(command)
    def run(**values: Any) -> None:
        for name, group in groups.items():
            values[name] = {key: values.pop(key) for key in group}
        command(**values)

    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def is_given(context: typer.Context, name: str) -> bool:
    """Whether an option stood on the command line, its default value included."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
