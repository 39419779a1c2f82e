"""A choir: every part of the contract once, in a model without health, teams or a place of its agents' own."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Annotated

import numpy as np
from pydantic import Field

from ai import (
    AgentId,
    Cell,
    Entry,
    Id,
    Observation,
    PromptText,
    Record,
    Rule,
    fact,
    known,
    name,
    number,
    on,
    pick,
    seconds,
    several,
    words,
)
from ai.planners.playbook import Branch, Consideration, Goal, Operator, Option
from ai.rules import Draft
from sim import (
    Act,
    Action,
    Component,
    Domain,
    Each,
    First,
    Grid,
    Input,
    Inputs,
    Network,
    Observe,
    Plan,
    Plane,
    Resource,
    Settings,
    Sum,
    System,
    Union,
    boolean,
    column,
    i8,
    i16,
    i32,
    i64,
    purpose,
)

MOOD, TUNE, DUST = map(purpose, ("mood", "tune", "dust"))


class Mood(IntEnum):
    """A column of an enumeration."""

    LOW = 0
    FINE = 1
    HIGH = 2


class Voice(StrEnum):
    """An enumeration of texts, in a column and in knowledge."""

    alto = "alto"
    bass = "bass"


class Feeling(StrEnum):
    """Several of them may hold."""

    tired = "tired"
    proud = "proud"


class Singer(Component):
    """Columns of every kind that a portable model has."""

    pitch: float = column(scale=100, default=4.4)
    mood: Mood
    voice: Voice
    loud: boolean
    breath: i8 = column(default=9)
    sung: i32 = column(per="songs")
    marks: i16 = column(shape=(6,))
    motto: str = column()
    heard: tuple[str, ...] = column(limit=3)
    seat: i32
    bows: i64


class Book(Component):
    """A songbook; it does not plan."""

    pages: i16 = column(default=10)


class Guest(Component):
    """A mark of singers that came later."""


class Hall(Resource):
    """A single value, and one for each song."""

    hour: i32
    applause: i32 = column(per="songs")


class Floor(Resource):
    """One value for each cell."""

    dust: i16 = column(per="cell")


class Echoes(Resource, rows=8):
    """Rows that vary in number."""

    song: i16
    left: i16


class Applause(Sum):
    """Hands, by song."""

    @classmethod
    def apply(cls, world, run, targets, values):
        world[Hall].applause[targets] += values


class Whisper(Each):
    """Texts, by listener."""

    @classmethod
    def apply(cls, world, run, targets, values):
        world.remember(world[Singer].heard, targets, values)


class Turned(First):
    """Readers, by book: the lowest sender turns the page."""

    @classmethod
    def apply(cls, world, run, targets, values):
        world[Book].pages[targets] -= 1
        world[Singer].sung[0, values] += 1


class Sticker(Union):
    """Songs, by singer: each once."""

    @classmethod
    def apply(cls, world, run, targets, values):
        world.scatter_add(world[Singer].marks[0], targets, values + 1)


class Friend(Entry):
    """Another singer."""

    id: AgentId
    pitch: float = fact(scale=100)
    voice: Voice


class Page(Entry):
    """A book, whose ids are a space of their own."""

    id: Annotated[int, Id("books")]
    pages: int = fact(quiet=0)


@dataclass(frozen=True)
class Stage:
    """A space for cells."""

    width: int
    height: int


class Knowledge(Observation):
    """Facts of every kind."""

    pitch: float = fact(scale=100, unit="Hz")
    loud: bool = fact(default=False, quiet=False)
    mood: int = fact(dtype="i2", low=0, high=2)
    voice: Voice
    feelings: tuple[Feeling, ...] = fact(default=())
    since: float = fact(default=0.0, ticks=True, quiet=0)
    sung: dict[str, int] = fact(default={}, table="songs", quiet=0)
    applause: dict[str, int] = fact(default={}, table="songs")
    motto: str | None = fact(default=None)
    heard: tuple[str, ...] = fact(default=(), limit=3)
    friends: tuple[Friend, ...] = fact(default=(), limit=3)
    books: tuple[Page, ...] = fact(default=(), limit=4)
    leader: Friend | None = fact(default=None)
    owes: AgentId | None = fact(default=None)
    seat: Cell
    free: tuple[Cell, ...] = fact(default=(), limit=3)
    song: str = fact(table="songs")
    stage: Stage = fact(shared=True, say="Stage")


class Bow(Record):
    """Arguments that belong together."""

    deep: int = number(1, 3)
    to: int = known("friends")


class Sing(Action):
    """Sing a song."""

    reasons = ("no breath",)
    song: str = name("songs")
    share: float = number(0, 1, scale=100, default=0.5)

    @classmethod
    def refused(cls, turn, rows, args):
        return {"no breath": turn[Singer].breath[rows] < 1}

    @classmethod
    def start(cls, turn, rows, args):
        turn[Singer].loud[rows] = True

    @classmethod
    def duration_ticks(cls, turn, rows, args):
        return 1 + args.song

    @classmethod
    def apply(cls, turn, rows, args):
        turn[Singer].breath[rows] -= 1
        turn[Singer].loud[rows] = False
        turn.send(Applause, rows, 1, at=args.song)
        turn.send(Sticker, rows, args.song)


class Tell(Action):
    """Whisper something to a friend, the leader or a creditor."""

    reasons = ("gone",)
    first_tier, keep = False, 2
    to: int = known("friends", "leader", "owes")
    words: str = words(30)

    @classmethod
    def refused(cls, turn, rows, args):
        return {"gone": turn.target_rows(args.to) < 0}

    @classmethod
    def apply(cls, turn, rows, args):
        texts = [turn.world.texts.intern(text) for text in args.payload("words")]
        turn.send(Whisper, rows, texts, at=turn.target_rows(args.to))


class Read(Action):
    """Read a page of a book."""

    reasons = ("gone", "read to the end")
    book: int = known("books")

    @classmethod
    def refused(cls, turn, rows, args):
        at = turn.target_rows(args.book)
        return {"gone": at < 0, "read to the end": turn[Book].pages[at] < 1}

    @classmethod
    def apply(cls, turn, rows, args):
        turn.send(Turned, rows, rows, at=turn.target_rows(args.book))


class Walk(Action):
    """Walk to a seat, one row of seats in each tick."""

    timed = False
    to: Cell = on("stage")

    @classmethod
    def advance(cls, turn, rows, args):
        hall, seat = turn.run.spaces["hall"], turn[Singer].seat
        _, y = hall.xy(seat[rows])
        seat[rows] = hall.cell(args.to_x, y + np.sign(args.to_y - y))
        return seat[rows] == hall.cell(args.to_x, args.to_y)


class Greet(Action):
    """Bow to friends in turn."""

    bows: tuple[Bow, ...] = several(1, 3)

    @classmethod
    def apply(cls, turn, rows, args):
        turn[Singer].bows[rows] += [sum(bow["deep"] for bow in bows) for bows in args.payload("bows")]


class Rest(Action):
    """Rest for some seconds."""

    time: float = seconds(1, 9, default=1.0)

    @classmethod
    def duration_ticks(cls, turn, rows, args):
        return args.time // 1000

    @classmethod
    def apply(cls, turn, rows, args):
        turn[Singer].breath[rows] = 9


class Raise(Input):
    """The conductor raises the pitch."""

    by: int = Field(1, ge=-5, le=5, description="Steps of a hundredth.")

    def apply(self, world, run):
        singers = world.rows(Singer)
        if not len(singers):
            return "there is nobody to sing"
        world[Singer].pitch[singers] += self.by
        world.invalidate(singers, "pitch")
        return None


class Evening(System):
    """Moods and pitches drift, guests come and go, echoes fade. Order: after Inputs."""

    reads = writes = (Singer, Guest, Hall, Floor, Echoes)

    def process(self, world, run):
        singer, singers, echoes = world[Singer], world.rows(Singer), world[Echoes]
        singer.pitch[singers] += world.below(singers, TUNE, 7) - 3
        singer.mood[singers] = world.below(singers, MOOD, 3)
        world[Hall].hour += 1
        world[Floor].dust[:] += world.chance_at(np.arange(run.spaces["hall"].size), DUST, 100)
        echoes.left[:] -= 1
        echoes.remove(echoes.left <= 0)
        echoes.add(song=run.tick % 3, left=4)
        for agent in world.agents(Singer):
            agent[Singer].bows += 1
            if agent[Singer].mood == Mood.HIGH:
                agent[Singer].motto = "Louder."
        if run.tick % 7 == 3 and len(singers):
            world.spawn({Singer: {"pitch": 4.5}, Guest: {}}, like=singers[:1])
        if run.tick % 11 == 5 and len(singers) > 3:
            world.kill(singers[-1:])


class ChoirSettings(Settings):
    """The choir."""

    singers: int = Field(5, ge=0, le=1000, description="Singers.")
    books: int = Field(2, ge=0, le=100, description="Songbooks.")


class Choir(Domain):
    """A choir rehearses."""

    settings, ticks, ticks_per_second, every = ChoirSettings, 40, 2, 4
    tables = {"songs": ("hymn", "aria", "round")}
    components, resources, observation = (Singer, Book, Guest), (Hall, Floor, Echoes), Knowledge
    inputs, actions, idle = (Raise,), (Sing, Tell, Read, Walk, Greet, Rest), Rest(1)
    systems = (Inputs, Evening, Observe, Plan, Act)
    prompt = PromptText(role="You lead a choir.", rules=("Sing often.",), examples=((Sing("hymn"), Rest(2)),))
    facts = {"low": "mood < 1", "breathless": lambda batch: batch.mood > 1}
    moves = {"hymn": lambda batch, rows: Draft("Sing", {"song": 0}, like=Sing("hymn"))}
    rules = (
        Rule("low", Rest(2)),
        Rule(("books.pages > 5", "one in 2"), Read(pick("most:pages"))),
        Rule(("friends", "one in 2"), Tell(pick("fewest:pitch"), "Hush.")),
        Rule("one in 3", Walk(pick("seat"))),
        Rule("always", Sing("aria")),
    )
    goals = (Goal((), ("!low",)),)
    operators = (Operator(Rest(2), ("low",), ("!low",)),)
    options = (Option(Sing("aria"), 5, (Consideration("mood", 0, 2, 10),)), Option(Rest(1), 6))
    tree = (Branch("low", (Rest(1),)), Branch("always", (Sing("hymn"),)))
    metrics = {
        "applause": lambda world: int(world[Hall].applause.sum()),
        "pitch": lambda world: world[Singer].pitch[world.rows(Singer)].mean(),
        "echoes": lambda world: len(world[Echoes].song),
    }
    group_names = ("even", "odd")

    def spaces(self, run):
        singers = max(self.settings.singers, 3)
        return {"hall": Grid(4, 3), "friends": Network.ring(singers, 2), "air": Plane(10, 10, scale=100)}

    def setup(self, world, run):
        world.spawn({Singer: {"voice": Voice.bass, "motto": "Sing.", "seat": 1}}, count=self.settings.singers)
        world.spawn({Book: {}}, count=self.settings.books)

    def plannable(self, world):
        return world.has(Singer)

    def alert(self, world, rows):
        return (world[Singer].mood[rows] == Mood.HIGH).astype(np.int64)

    def groups(self, world):
        return self.group_names, world.keys % 2

    def observe(self, world, rows):
        singer, hall, all_of_them, books = world[Singer], world.run.spaces["hall"], world.rows(Singer), world.rows(Book)
        who, other = (rows[:, None] != all_of_them).nonzero()
        other = all_of_them[other]

        def friend(at):
            return {"id": world.keys[at], "pitch": singer.pitch[at], "voice": singer.voice[at]}

        n = len(rows)
        return world.observed(
            Knowledge,
            rows,
            **{name: getattr(singer, name)[..., rows] for name in ("pitch", "loud", "mood", "voice", "sung", "heard")},
            applause=world[Hall].applause,
            motto=singer.motto[rows],
            friends={"rows": who, **friend(other)},
            books={
                "rows": np.repeat(np.arange(n), len(books)),
                "id": np.tile(world.keys[books], n),
                "pages": np.tile(world[Book].pages[books], n),
            },
            leader=friend(np.broadcast_to(all_of_them[:1], n)),
            seat=hall.xy(singer.seat[rows]),
            song=np.full(n, world[Hall].hour % 3),
            stage=Stage(width=hall.width, height=hall.height),
        )

    def outcome(self, world):
        return None if len(world.rows(Singer)) else "nobody is left"

    def scores(self, world):
        return {"applause": float(world[Hall].applause.sum())}

    def invariants(self, world):
        assert (world[Book].pages >= 0).all(), "a book has fewer than no pages"

    @classmethod
    def examples(cls):
        yield cls.settings()
        yield cls.settings(singers=1, books=0)
