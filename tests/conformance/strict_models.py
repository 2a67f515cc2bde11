"""Hold an answer against the official SDK's response model, more strictly than the SDK does.

The SDK makes every field optional and, at the first mismatch, drops its types and goes on. Here
the models are walked by hand: every documented field must be there, of exactly its type, and
nothing may be there that is neither documented nor named below with the reason.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from typing import Any, Final, Union, get_args, get_origin

from pydantic import BaseModel


@dataclass(frozen=True)
class Allowance:
    """How the live exchange's answer differs from what is documented.

    Attributes:
        absent: documented, but not sent (always, or in some states).
        extra: sent, but not documented.
        nullable: sent as null.
        exact: the only key sets that may be; they stand for what is documented.
        every_key: the documented name that stands for any number of others, as a symbol does.
        or_error: an element of a batch, which is what was asked for or an error.
    """

    absent: frozenset[str] = frozenset()
    extra: frozenset[str] = frozenset()
    nullable: frozenset[str] = frozenset()
    exact: tuple[frozenset[str], ...] = ()
    every_key: str = ""
    or_error: bool = False


def allow(
    absent: str = "",
    extra: str = "",
    nullable: str = "",
    exact: Iterable[str] = (),
    every_key: str = "",
    *,
    or_error: bool = False,
) -> Allowance:
    """Return an allowance from names separated by spaces."""
    return Allowance(
        frozenset(absent.split()),
        frozenset(extra.split()),
        frozenset(nullable.split()),
        tuple(frozenset(names.split()) for names in exact),
        every_key,
        or_error,
    )


NO_ALLOWANCE: Final = Allowance()
_ERROR: Final = frozenset({"code", "msg"})


def mismatches(
    model: Any, value: Any, allowances: dict[str, Allowance], path: str = "$"
) -> list[str]:
    """Return what is wrong with `value`, a line each; [] if it is what `model` says."""
    return list(_walk_model(model, value, allowances, path))


def _walk_model(
    model: Any, value: Any, allowances: dict[str, Allowance], path: str
) -> Iterator[str]:
    if "one_of_schemas" in model.model_fields:
        yield from _walk_variants(model, value, allowances, path)
    elif is_array(model):
        if not isinstance(value, list):
            yield f"{path}: {type(value).__name__}, not a list"
            return
        if fields_of(model):
            for index, item in enumerate(value):
                yield from _walk_object(model, item, allowances, f"{path}[{index}]")
    else:
        yield from _walk_object(model, value, allowances, path)


def _walk_variants(
    model: Any, value: Any, allowances: dict[str, Allowance], path: str
) -> Iterator[str]:
    """Hold the value against the variant it names as event `e`, else against the likeliest."""
    variants = [
        _plain(field.annotation)
        for name, field in model.model_fields.items()
        if name.startswith("oneof_schema_")
    ]
    if isinstance(value, dict) and "e" in value:
        named = str(value["e"]).replace("_", "").lower()
        variants = [variant for variant in variants if variant.__name__.lower() == named]
    if not variants:
        yield f"{path}: none of the model's variants fits ({model.__name__})"
        return
    yield from min((mismatches(one, value, allowances, path) for one in variants), key=len)


def _walk_object(
    model: Any, value: Any, allowances: dict[str, Allowance], path: str
) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: {type(value).__name__}, not an object"
        return
    fields = fields_of(model)
    allowed = allowances.get(model.__name__, NO_ALLOWANCE)
    if allowed.every_key:
        fields |= dict.fromkeys(value.keys() - fields.keys(), fields[allowed.every_key])
    yield from _wrong_keys(model.__name__, fields.keys(), value.keys(), allowed, path)
    for name in sorted(fields.keys() & value.keys()):
        if value[name] is None and name in allowed.nullable:
            continue
        yield from _walk(fields[name], value[name], allowances, f"{path}.{name}")


def _wrong_keys(
    model: str, documented: Set[str], sent: Set[str], allowed: Allowance, path: str
) -> Iterator[str]:
    if allowed.or_error:
        documented = _ERROR if sent == _ERROR else documented - _ERROR
    if allowed.exact:
        nearest = min(allowed.exact, key=lambda names: len(names ^ sent))
        missing, surplus = nearest - sent, sent - nearest
    else:
        missing = documented - sent - allowed.absent
        surplus = sent - documented - allowed.extra
    for name in sorted(missing):
        yield f"{path}.{name}: missing ({model})"
    for name in sorted(surplus):
        yield f"{path}.{name}: not documented ({model})"


def _walk(
    annotation: Any, value: Any, allowances: dict[str, Allowance], path: str
) -> Iterator[str]:
    annotation = _plain(annotation)
    if get_origin(annotation) is list:
        if not isinstance(value, list):
            yield f"{path}: {type(value).__name__}, not a list"
            return
        (inner,) = get_args(annotation)
        for index, item in enumerate(value):
            yield from _walk(inner, item, allowances, f"{path}[{index}]")
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from _walk_model(annotation, value, allowances, path)
    elif annotation in _EXACT and type(value) not in _EXACT[annotation]:
        yield f"{path}: {value!r}, not {annotation.__name__}"


# A JSON number without a fraction is a float's value too; nothing else passes for another type.
_EXACT: Final[dict[Any, tuple[type, ...]]] = {
    str: (str,),
    int: (int,),
    bool: (bool,),
    float: (float, int),
}


def fields_of(model: Any) -> dict[str, Any]:
    """Return the documented names on the wire with their annotations."""
    return {
        field.alias or name: field.annotation
        for name, field in model.model_fields.items()
        if name != "additional_properties"
    }


def is_array(model: Any) -> bool:
    return bool(hasattr(model, "is_array") and model.is_array())


def _plain(annotation: Any) -> Any:
    """Take off Optional and the SDK's strictness markers."""
    if hasattr(annotation, "__metadata__"):
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        inner = [one for one in get_args(annotation) if one is not type(None)]
        return _plain(inner[0]) if len(inner) == 1 else annotation
    return annotation
