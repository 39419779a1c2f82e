"""Students learn topics from a few shared books, explain them to friends, and rest when they are tired."""

from typing import ClassVar

import numpy as np
from pydantic import Field

from ai.actions import PromptText, known, name, number, pick
from ai.observation import AgentId, Entry, Observation, fact
from ai.rules import Rule
from sim import (
    Act,
    Action,
    Component,
    Domain,
    Input,
    Inputs,
    Network,
    Observe,
    Plan,
    Resource,
    Settings,
    Sum,
    System,
    column,
    i16,
    i32,
    purpose,
)

FRIENDS, CURIOUS = map(purpose, ("friends", "curious"))


class Student(Component):
    """What a student has learnt of each topic, and how tired it is (0 to 100)."""

    learnt: i32 = column(per="topics")
    tired: i16 = column(default=20)


class Books(Resource):
    """How worn the book of each topic is; learning from a worn book takes more out of a student."""

    worn: i32 = column(per="topics")


class Wear(Sum):
    """Hours that a book was read, by topic."""

    @classmethod
    def apply(cls, world, run, targets, values):
        world[Books].worn[targets] += values


class Explained(Sum):
    """What was explained, by place in the table of students and topics."""

    @classmethod
    def apply(cls, world, run, targets, values):
        row, topic = np.divmod(targets, len(world.tables["topics"]))
        world[Student].learnt[topic, row] += values


class Friend(Entry):
    """Another student."""

    id: AgentId
    tired: int = fact(dtype="i2", say="tired {}")


class Knowledge(Observation):
    """What a student knows."""

    tired: int = fact(dtype="i2", low=0, high=100, say="tired {} of 100")
    learnt: dict[str, int] = fact(default={}, table="topics", quiet=0, say="has learnt {} of {name}")
    worn: dict[str, int] = fact(default={}, table="topics", quiet=0)
    friends: tuple[Friend, ...] = fact(default=(), limit=6)


class Read(Action):
    """Read a book for some hours."""

    reasons: ClassVar = ("too tired",)
    topic: str = name("topics")
    hours: int = number(1, 4)

    @classmethod
    def duration_ticks(cls, turn, rows, args):
        return args.hours

    @classmethod
    def refused(cls, turn, rows, args):
        return {"too tired": turn[Student].tired[rows] > 90}

    @classmethod
    def apply(cls, turn, rows, args):
        turn[Student].learnt[args.topic, rows] += args.hours
        effort = 3 * args.hours + np.minimum(turn[Books].worn[args.topic] // 50, 5)
        turn[Student].tired[rows] = np.minimum(turn[Student].tired[rows] + effort, 100)
        turn.send(Wear, rows, args.hours, at=args.topic)


class Explain(Action):
    """Explain a topic that you know to a friend."""

    reasons: ClassVar = ("gone", "nothing learnt")
    to: int = known("friends")
    topic: str = name("topics")

    @classmethod
    def refused(cls, turn, rows, args):
        return {
            "gone": turn.target_rows(args.to) < 0,
            "nothing learnt": turn[Student].learnt[args.topic, rows] == 0,
        }

    @classmethod
    def apply(cls, turn, rows, args):
        topics = len(turn.world.tables["topics"])
        turn.send(Explained, rows, 1, at=turn.target_rows(args.to) * topics + args.topic)


class Rest(Action):
    """Rest for some hours."""

    hours: int = number(1, 8, default=1)

    @classmethod
    def duration_ticks(cls, turn, rows, args):
        return args.hours

    @classmethod
    def apply(cls, turn, rows, args):
        turn[Student].tired[rows] = np.maximum(turn[Student].tired[rows] - 6 * args.hours, 0)


class Rebind(Input):
    """The book of a topic is as good as new again."""

    topic: int = Field(0, ge=0, description="Which book.")

    def apply(self, world, run):
        if self.topic >= len(world.tables["topics"]):
            return f"there is no topic {self.topic}"
        world[Books].worn[self.topic] = 0
        return None


class Forget(System):
    """Now and then a student forgets a little. Reads and writes Student. Order: before Observe."""

    reads: ClassVar = (Student,)
    writes: ClassVar = (Student,)

    def process(self, world, run):
        learnt = world[Student].learnt
        for topic in range(len(learnt)):
            lost = world.chance(slice(None), CURIOUS, run.settings.forget, draw=topic)
            learnt[topic] -= lost & (learnt[topic] > 0)


class StudySettings(Settings):
    """The class."""

    students: int = Field(12, ge=1, le=10_000, description="Students.")
    friends: int = Field(2, ge=0, le=3, description="Friends that a student makes, on average.")
    forget: int = Field(30, ge=0, le=1000, description="Chance to forget an hour of a topic in a tick, per-mille.")


class StudyGroup(Domain):
    """Students before an exam."""

    name: ClassVar = "studygroup"
    ticks: ClassVar = 60
    settings: ClassVar = StudySettings
    tables: ClassVar = {"topics": ("algebra", "botany", "chess")}
    components, resources, observation = (Student,), (Books,), Knowledge
    inputs = (Rebind,)
    actions, idle = (Read, Explain, Rest), Rest(1)
    systems = (Inputs, Forget, Observe, Plan, Act)
    prompt = PromptText(
        role="You plan the next hours of students before an exam. Each wants to learn all topics and stay awake.",
        rules=("A tired student rests.", "Explain only what you have learnt."),
        examples=((Read("algebra", 2), Explain(2, "algebra")), (Rest(4),)),
    )
    rules = (
        Rule("tired > 70", Rest(4)),
        Rule("learnt.algebra < 3", Read("algebra", 2)),
        Rule(("friends", "learnt.algebra > 5"), Explain(pick("first"), "algebra")),
        Rule("learnt.botany < 3", Read("botany", 2)),
        Rule("always", Read("chess", 1)),
    )
    metrics: ClassVar = {
        "learnt": lambda world: int(world[Student].learnt.sum()),
        "tired": lambda world: round(float(world[Student].tired.mean()), 2),
    }

    def spaces(self, run):
        students = self.settings.students
        links = min(self.settings.friends * students // 2, students * (students - 1) // 2)
        return {"friends": Network.erdos_renyi(students, links, run.words(FRIENDS))}

    def setup(self, world, run):
        world.spawn({Student: {}}, count=self.settings.students)

    def observe(self, world, rows):
        student = world[Student]
        which, friend = world.run.space.neighbours(world.keys[rows])
        at = world.rows_of(friend)
        there = at >= 0
        return world.observed(
            Knowledge,
            rows,
            tired=student.tired[rows],
            learnt=student.learnt[:, rows],
            worn=world[Books].worn,
            friends={"rows": which[there], "id": world.keys[at[there]], "tired": student.tired[at[there]]},
        )

    def outcome(self, world):
        return "everyone is ready" if (world[Student].learnt >= 8).all() else None

    def invariants(self, world):
        tired = world[Student].tired
        assert ((tired >= 0) & (tired <= 100)).all(), "a student is more tired than possible"
        assert (world[Student].learnt >= 0).all(), "a student has learnt less than nothing"

    @classmethod
    def examples(cls):
        yield cls.settings()
        yield cls.settings(students=1, friends=0)
        yield cls.settings(students=30, friends=3, forget=200)
