"""The public names to build and run simulations.

A model is a `Domain` with `Component`s and `System`s; `Simulation` runs it, `load` reads scenarios, `record` writes a
replay, `verify` proves it, `view` shows it. `sim.testing` has what tests of a model use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai.lazy import lazy

if TYPE_CHECKING:
    from sim.engine.columns import Component, boolean, column, f64, i8, i16, i32, i64
    from sim.engine.resources import Resource
    from sim.engine.rng import purpose
    from sim.engine.system import System
    from sim.replay.recording import record
    from sim.replay.verify import verify
    from sim.run.actions import Action, Turn
    from sim.run.channels import Channel, Each, First, Sum, Union
    from sim.run.context import Run
    from sim.run.data_files import DataFile
    from sim.run.domain import Domain
    from sim.run.inputs import Input
    from sim.run.listeners import Listener
    from sim.run.portrayal import Layer, Look, Portrayal
    from sim.run.scenario_file import Scenario, load
    from sim.run.settings import Settings
    from sim.run.simulation import Simulation
    from sim.run.systems import Act, Inputs, Observe, Plan
    from sim.run.world import World
    from sim.space import Grid, Network, Plane
    from sim.viewer.replays import view

__getattr__, __dir__ = lazy(
    __name__,
    {
        "sim.engine.columns": "Component boolean column f64 i8 i16 i32 i64",
        "sim.engine.resources": "Resource",
        "sim.engine.rng": "purpose",
        "sim.engine.system": "System",
        "sim.replay.recording": "record",
        "sim.replay.verify": "verify",
        "sim.run.actions": "Action Turn",
        "sim.run.channels": "Channel Each First Sum Union",
        "sim.run.context": "Run",
        "sim.run.data_files": "DataFile",
        "sim.run.domain": "Domain",
        "sim.run.inputs": "Input",
        "sim.run.listeners": "Listener",
        "sim.run.portrayal": "Layer Look Portrayal",
        "sim.run.scenario_file": "Scenario load",
        "sim.run.settings": "Settings",
        "sim.run.simulation": "Simulation",
        "sim.run.systems": "Act Inputs Observe Plan",
        "sim.run.world": "World",
        "sim.space": "Grid Network Plane",
        "sim.viewer.replays": "view",
    },
)

__all__ = [
    "Act",
    "Action",
    "Channel",
    "Component",
    "DataFile",
    "Domain",
    "Each",
    "First",
    "Grid",
    "Input",
    "Inputs",
    "Layer",
    "Listener",
    "Look",
    "Network",
    "Observe",
    "Plan",
    "Plane",
    "Portrayal",
    "Resource",
    "Run",
    "Scenario",
    "Settings",
    "Simulation",
    "Sum",
    "System",
    "Turn",
    "Union",
    "World",
    "boolean",
    "column",
    "f64",
    "i8",
    "i16",
    "i32",
    "i64",
    "load",
    "purpose",
    "record",
    "verify",
    "view",
]
