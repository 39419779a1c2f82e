"""Two worlds driven by any sequence of commands agree with a dict, whatever is restored, forked or interleaved."""

from __future__ import annotations

import copy

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sim.columns import Component, column, i8, i16, i64
from sim.digest import state_digest
from sim.world import World


class Health(Component):
    hp: i16 = column(default=7)


class Route(Component):
    length: i8
    cells: i16 = column(shape=(3,), used_by="length")


class Purse(Component):
    gold: i64


ALL = (Health, Route, Purse)
PICK = st.integers(0, 30)
GOLD = st.integers(-5, 5)


class Worlds(RuleBasedStateMachine):
    """Keeps, for each world, a plain model: {key: {"hp", "cells", "gold" or None}}, with commands applied at the flush.

    The model knows the rules (attach and detach first, then the dead, then the newborn by issuer), nothing of rows.
    """

    def __init__(self):
        super().__init__()
        self.worlds = [World(ALL, capacity=1, debug=True) for _ in range(2)]
        self.models = [{} for _ in range(2)]
        self.next_keys = [0, 0]
        self.queued = [[], []]
        self.saved = [None, None]
        self.at = 0

    def teardown(self):
        for world in self.worlds:
            world.close()

    def key_at(self, pick):
        living = sorted(self.models[self.at])
        return living[pick % len(living)]

    def queue(self, kind, *what):
        self.queued[self.at].append((kind, *what))

    @property
    def world(self):
        return self.worlds[self.at]

    @rule(to=st.integers(0, 1))
    def switch(self, to):
        self.at = to

    @rule(
        count=st.integers(1, 4),
        issuer=st.integers(0, 2),
        cells=st.lists(st.integers(1, 9), max_size=3),
        has=st.booleans(),
    )
    def spawn(self, count, issuer, cells, has):
        padded = cells + [0] * (3 - len(cells))
        self.world.spawn(
            {Route: {"length": len(cells), "cells": padded}},
            count,
            issuer=issuer,
            components=ALL if has else [Health, Route],
        )
        self.queue("spawn", issuer, [None] * count, cells, has)

    @rule(skips=st.lists(st.integers(0, 3), min_size=1, max_size=3), turned=st.booleans())
    def spawn_fixed(self, skips, turned):
        taken = [
            key for command in self.queued[self.at] if command[0] == "spawn" for key in command[2] if key is not None
        ]
        keys = np.cumsum(
            [max([self.next_keys[self.at], *(key + 1 for key in taken)]), *(s + 1 for s in skips)]
        ).tolist()
        keys = keys[::-1] if turned else keys
        self.world.spawn({}, len(keys), keys=keys, issuer=1)
        self.queue("spawn", 1, keys, [], True)

    @precondition(lambda self: self.models[self.at])
    @rule(pick=PICK, by_key=st.booleans())
    def kill(self, pick, by_key):
        key = self.key_at(pick)
        if by_key:
            self.world.kill_keys([key])
        else:
            self.world.kill([self.world.row_of(key)])
        self.queue("kill", key)

    @precondition(lambda self: self.models[self.at])
    @rule(pick=PICK, gold=GOLD)
    def attach(self, pick, gold):
        key = self.key_at(pick)
        self.world.attach([self.world.row_of(key)], Purse, {"gold": gold})
        self.queue("purse", key, gold)

    @precondition(lambda self: self.models[self.at])
    @rule(pick=PICK)
    def detach(self, pick):
        key = self.key_at(pick)
        self.world.detach([self.world.row_of(key)], Purse)
        self.queue("purse", key, None)

    @precondition(lambda self: self.models[self.at])
    @rule(picks=st.lists(PICK, max_size=5), harm=st.integers(-3, 3))
    def hurt(self, picks, harm):
        keys = [self.key_at(pick) for pick in picks]
        self.world.scatter_add(self.world[Health].hp, self.world.rows_of(keys), harm)
        for key in keys:
            self.models[self.at][key]["hp"] += harm

    @rule()
    def flush(self):
        self.world.flush()
        model, queued = self.models[self.at], self.queued[self.at]
        for command in queued:
            if command[0] == "purse":
                model[command[1]]["gold"] = command[2]
        for command in queued:
            if command[0] == "kill":
                model.pop(command[1], None)
        spawns = sorted((command for command in queued if command[0] == "spawn"), key=lambda command: command[1])
        following = max([self.next_keys[self.at], *(k + 1 for spawn in spawns for k in spawn[2] if k is not None)])
        for _, _, keys, cells, has in spawns:
            for key in keys:
                if key is None:
                    key, following = following, following + 1
                model[key] = {"hp": 7, "cells": cells, "gold": 0 if has else None}
        self.next_keys[self.at] = following
        queued.clear()

    @precondition(lambda self: not self.queued[self.at])
    @rule()
    def save(self):
        self.saved[self.at] = (self.world.snapshot(), copy.deepcopy(self.models[self.at]), self.next_keys[self.at])

    @precondition(lambda self: any(self.saved))
    @rule(source=st.integers(0, 1))
    def restore(self, source):
        """Into the same world or into the other one."""
        if self.saved[source] is None:
            return
        state, model, next_key = self.saved[source]
        self.world.restore(state)
        assert self.world.snapshot() == state
        self.models[self.at], self.next_keys[self.at] = copy.deepcopy(model), next_key
        self.queued[self.at].clear()

    @precondition(lambda self: not self.queued[self.at])
    @rule()
    def replace_by_fork(self):
        twin = self.world.fork()
        assert state_digest(twin) == state_digest(self.world)
        self.world.close()
        self.worlds[self.at] = twin

    @invariant()
    def agree(self):
        for world, model, next_key in zip(self.worlds, self.models, self.next_keys, strict=True):
            world.check()
            keys = sorted(model)
            assert world.keys.tolist() == keys
            assert world.next_key == next_key
            assert world[Health].hp.tolist() == [model[key]["hp"] for key in keys]
            assert world[Route].length.tolist() == [len(model[key]["cells"]) for key in keys]
            assert world[Purse].gold.tolist() == [model[key]["gold"] or 0 for key in keys]
            assert world.has(Purse).tolist() == [model[key]["gold"] is not None for key in keys]
            for row, key in enumerate(keys):
                cells = model[key]["cells"]
                assert world[Route].cells[:, row].tolist() == cells + [0] * (3 - len(cells))

    @invariant()
    def equal_states_have_equal_roots(self):
        one, two = self.worlds
        assert (state_digest(one) == state_digest(two)) == (
            self.models[0] == self.models[1] and self.next_keys[0] == self.next_keys[1]
        )


Worlds.TestCase.settings = settings(max_examples=settings.default.max_examples // 2, stateful_step_count=30)
TestWorlds = Worlds.TestCase
