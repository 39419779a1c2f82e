"""Components of a small world, and a resource written by hand."""

from __future__ import annotations

import numpy as np

from sim.engine.columns import Component, boolean, column, i8, i16, i32, i64


class Position(Component):
    x: i32
    y: i32 = column(default=-1)


class Health(Component):
    hp: i8 = column(default=100)
    shield: boolean


class Route(Component):
    length: i8
    cells: i16 = column(shape=(4, 2), used_by="length")


class Wealth(Component):
    gold: i64


class Board:
    def __init__(self, name="board"):
        self.name = name
        self.stamp = 0
        self.cells = np.arange(3, dtype=np.int16)

    def columns(self):
        return {"cells": self.cells}

    def put(self, place, value):
        self.cells[place] = value
        self.stamp += 1

    def restore(self, columns):
        self.cells = columns["cells"].copy()
        self.stamp += 1


ALL = (Position, Health, Route, Wealth)


def everything(values=None):
    """Values of an entity that has all components."""
    return {component: (values or {}).get(component, {}) for component in ALL}
