"""Actions: the verbs of agents, one class for each.

    class Buy(Action):
        "Buy pieces of a good at its price."
        good: str = name("goods")
        count: int = number(1, 100)

The class's name is the verb, and its docstring is the sentence that prompts show. `Buy("bread", 1)` makes a step; its
JSON form is `{"act": "Buy", "good": "bread", "count": 1}`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, dataclass_transform

from pydantic import BaseModel, ConfigDict, Field

from ai.actions.arguments import Argument, known, name, number, on, seconds, several, words
from ai.errors import ContractError
from ai.observation.facts import completed

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)  # see `ai.observation.facts`

STEPS_MAX: Final = 8
"""The most steps that one plan may have."""


@dataclass_transform(
    frozen_default=True, field_specifiers=(number, seconds, name, known, on, words, several, Field)
)  # fmt: skip
class Arguments(ModelMetaclass):
    """Reads arguments from a class body, and gives each verb the field `act` with its name."""

    def __new__(mcs, name: str, bases: tuple[type, ...], space: dict[str, Any], **options: Any) -> type:
        """Turn declared arguments into pydantic's fields."""
        if isinstance(space.get("act"), Argument):
            raise ContractError(f"{name}: no argument can be called act, which holds the verb's name")
        space |= {key: value.field() for key, value in space.items() if isinstance(value, Argument)}
        if any(getattr(base, "is_verb", False) for base in bases):
            space["__annotations__"] = {"act": Literal[name], **space.get("__annotations__", {})}
            space["act"] = name
        return completed(super().__new__(mcs, name, bases, space, **options))  # type: ignore[no-any-return] # a class


class Record(BaseModel, metaclass=Arguments):
    """Arguments that belong together: a record in a step's payload."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    if not TYPE_CHECKING:

        def __init__(self, *args, **fields):
            """Take arguments by position, by name, or both."""
            if args:
                names = [field for field in type(self).model_fields if field != "act"]
                if len(args) > len(names):
                    raise TypeError(f"{type(self).__name__} takes {len(names)} arguments, not {len(args)}")
                twice = fields.keys() & set(names[: len(args)])
                if twice:
                    raise TypeError(f"{type(self).__name__} got {min(twice)!r} twice")
                fields |= zip(names, args, strict=False)
            super().__init__(**fields)

        # With this mark pydantic validates data without calling this method.

        __init__.__pydantic_base_init__ = True


class Action(Record):
    """One step of a plan; subclass it once for each verb.

    Class variables: `first_tier` says whether a compact prompt offers the verb. A prompt that is too long drops the
    verbs with the lowest `keep` first. A full prompt states `cooldown_s` (the pause after the verb, seconds) and `cost`
    (the things that it uses up, in words). `reasons` names the reasons for which a world may refuse it.
    """

    is_verb: ClassVar[bool] = True
    first_tier: ClassVar[bool] = True
    keep: ClassVar[int] = 0
    cooldown_s: ClassVar[float] = 0.0
    cost: ClassVar[str] = ""
    reasons: ClassVar[tuple[str, ...]] = ()

    if TYPE_CHECKING:
        act: ClassVar[str]

    def __str__(self) -> str:
        """Show the step as `Name(argument=value, ...)`."""
        shown = ((name, getattr(self, name)) for name in type(self).model_fields if name != "act")
        return f"{self.act}({', '.join(f'{name}={_shown(value)}' for name, value in shown if value is not None)})"


def _shown(value: Any) -> str:
    if isinstance(value, Record):
        return str(value.model_dump(mode="json"))
    if isinstance(value, tuple):
        return f"[{', '.join(map(_shown, value))}]"
    return str(value)
