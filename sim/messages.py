"""Turns a validation error into one sentence for people: the dotted key, the error, and advice.

It reports only the first error, because users fix that first, and later errors often follow from it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

SENTENCE_CHARS_MAX: Final = 600
"""The longest sentence shown, characters."""
VALUE_CHARS_MAX: Final = 40
"""The longest value quoted in a sentence, characters."""
_PROBLEM: Final = "problem"

Schema = Mapping[str, Any]


def problem(key: str, reason: str) -> PydanticCustomError:
    """Return the error for a model's own validator: `key` is dotted and relative to that model, empty for all of it."""
    return PydanticCustomError(_PROBLEM, "{reason}", {"key": key, "reason": reason})


def problem_sentence(error: PydanticCustomError) -> str:
    """Return the key and the reason that `problem` was made from."""
    context = error.context or {}
    return f"{context['key']}: {context['reason']}" if context.get("key") else str(context.get("reason", error))


def sentence(error: ValidationError, schema: Schema) -> str:
    """Return the first error as one sentence; `schema` is the JSON schema of the validated data."""
    first = error.errors(include_url=False)[0]
    key, level = _walk(first["loc"], schema)
    context = first.get("ctx", {})
    match first["type"]:
        case "missing":
            reason = "is missing; add it"
        case "extra_forbidden":
            own, _ = _walk(first["loc"][:-1], schema)
            known = sorted({name for part in level for name in part.get("properties", {})})
            name = str(first["loc"][-1])
            key = f"{own}.{shown(name)}" if own else shown(name)
            reason = f"is not a known key; {suggestion(name, known, 'known keys')}"
        case "problem":
            key = ".".join(filter(None, (key, context["key"])))
            reason = context["reason"]
        case _:
            message = first["msg"]
            reason = re.sub(r"^(?:Input|String|Tuple|Dictionary|Value(?: error,)?) | after validation", "", message)
            plain = isinstance(first["input"], str | int | float | bool)
            if plain and message.startswith(("Input should", "String should match")):
                # Letters of other alphabets look like ASCII: if only ASCII is allowed, they are shown by number.
                odd = first["type"] == "string_pattern_mismatch"
                reason = f"{reason}, not {quoted(first['input'], plain=odd)}"
    return one_line(f"{key}: {reason}" if key else reason)


def error_text(error: BaseException) -> str:
    """Return an error of other code in words: its type and its message; of data that do not fit, what and why."""
    if isinstance(error, ValidationError):
        return f"{error.title}: {sentence(error, {})}"
    return f"{type(error).__name__}: {error}".removesuffix(": ")


def suggestion(name: str, known: Sequence[str], what: str) -> str:
    """Return a suggestion: the known name that was probably meant, or a list of the known names."""
    near = difflib.get_close_matches(name[:100], known, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"{what}: {', '.join(known)}" if known else f"there are no {what}"


def number(value: float, sign: str = "") -> str:
    """Return a number for people: whole from a thousand on, else with four digits; `sign="+"` writes that sign too."""
    whole = 1_000 <= abs(value) < 1e15
    return f"{value:{sign},.0f}" if whole else f"{value:{sign},.4g}"


def one_line(text: str) -> str:
    """Put a text on one line of bounded length, without characters that control a terminal."""
    flat = "".join(char if char.isprintable() else " " for char in " ".join(text.split()))
    return flat if len(flat) <= SENTENCE_CHARS_MAX else f"{flat[: SENTENCE_CHARS_MAX - 3]}..."


def shown(name: str) -> str:
    """Return a name in a form that can be printed anywhere."""
    short = name if len(name) <= VALUE_CHARS_MAX * 4 else f"{name[: VALUE_CHARS_MAX * 4]}..."
    return short if short.isprintable() and short else ascii(short)


def quoted(value: object, *, plain: bool = False) -> str:
    """Return a value as Python writes it (only in ASCII if `plain`), cut to a length that fits into a sentence."""
    try:
        text = ascii(value) if plain else repr(value)
    except ValueError:  # an integer too long for Python to write out
        return "so long a number"
    return text if len(text) <= VALUE_CHARS_MAX else f"{text[:VALUE_CHARS_MAX]}..."


def _walk(loc: Iterable[int | str], schema: Schema) -> tuple[str, list[Schema]]:
    """Follow an error's place through the schema: its dotted key, and the sub-schemas around its end."""
    definitions: Mapping[str, Schema] = schema.get("$defs", {})
    level = list(alternatives(schema, definitions))
    before = level
    key = ""
    for part in loc:
        before = level
        if isinstance(part, int):
            key += f"[{part}]"
            level = [below for each in level if "items" in each for below in alternatives(each["items"], definitions)]
            continue
        tagged = [each for each in level if _is_tagged(each, part)]
        if tagged:
            level = tagged
            continue
        inner = [each["properties"][part] for each in level if part in each.get("properties", {})]
        inner += [each["additionalProperties"] for each in level if isinstance(each.get("additionalProperties"), dict)]
        key += f".{shown(part)}" if key else shown(part)
        level = [below for each in inner for below in alternatives(each, definitions)]
    return key, before


def alternatives(schema: Schema, definitions: Mapping[str, Schema]) -> Iterator[Schema]:
    """Yield the schemas that a schema stands for: the schema that it refers to, and each of its alternatives."""
    while "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    branches = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    if branches:
        for branch in branches:
            yield from alternatives(branch, definitions)
    else:
        yield schema


def _is_tagged(schema: Schema, tag: str) -> bool:
    fields: Mapping[str, Schema] = schema.get("properties", {})
    return any(field.get("const") == tag for field in fields.values())
