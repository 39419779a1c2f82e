"""What a component declares is checked, and columns take only what fits."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pytest

from sim.engine.columns import Column, Component, column, i8, schema_of
from sim.engine.world import World
from sim.errors import WorldError
from tests.sim.engine.small_world import Feeling, Memory, Position, Route


def test_a_schema_knows_dtype_shape_default_and_label():
    """What is declared can be read back."""
    length, cells = schema_of(Route).columns
    assert (length.label, length.dtype, length.shape, length.default) == ("Route.length", np.int8, (), 0)
    assert (cells.label, cells.dtype, cells.shape, cells.used_by) == ("Route.cells", np.int16, (4, 2), "length")


def declare(annotation, default=None):
    body = {"__annotations__": {"value": annotation}, "__module__": __name__}
    if default is not None:
        body["value"] = default
    return type("Bad", (Component,), body)


@pytest.mark.parametrize(
    ("annotation", "default", "message"),
    [
        (int, None, r"Bad\.value is annotated .*int"),
        ("float", None, r"Bad\.value is annotated"),
        ("i31", None, r"Bad has an annotation that cannot be resolved.*i31"),
        (Annotated[object, Column(np.float32)], None, r"Bad\.value is of dtype float32"),
        (Annotated[object, Column(np.uint8)], None, r"Bad\.value is of dtype uint8"),
        (i8, 5, r"Bad\.value = 5: say column\(default=5\)"),
        (i8, column(default=200), r"Bad\.value default: 200 does not fit int8"),
        (i8, column(shape=(0,)), r"Bad\.value: shape \(0,\)"),
        (i8, column(shape=(2,), used_by="other"), r"used_by='other' is not a flat integer column"),
        (i8, column(shape=(2,), used_by="value"), r"used_by='value' is not a flat integer column"),
    ],
)
def test_a_malformed_column_is_an_error_that_names_class_and_field(annotation, default, message):
    """A wrong declaration fails where it is written."""
    with pytest.raises(WorldError, match=message):
        declare(annotation, default)


def test_used_by_needs_a_shape_and_zero_default():
    """Entries beyond those in use are zeros, so their default cannot be anything else."""
    with pytest.raises(WorldError, match="needs a shape and the default 0"):

        class Bad(Component):
            length: i8
            cells: i8 = column(default=1, shape=(2,), used_by="length")


def test_a_component_without_columns_or_with_private_ones_is_refused():
    """Empty marks and names that attribute access would hide are told apart from typos."""
    with pytest.raises(WorldError, match="declares no column"):
        type("Mark", (Component,), {"__module__": __name__})
    with pytest.raises(WorldError, match="underscore"):
        type("Hidden", (Component,), {"__annotations__": {"_x": i8}, "__module__": __name__})


def test_a_component_is_never_an_instance():
    """Values live in columns; making an object of a schema says where to put them."""
    with pytest.raises(WorldError, match=r"World\.spawn"):
        Position()


def test_markers_are_found_where_only_a_function_imported_them():
    """A class made inside a function may use markers its module does not have."""
    body = {"__annotations__": {"value": "i16"}, "__module__": "sim.errors"}
    assert schema_of(type("Local", (Component,), body)).columns[0].dtype == np.int16


def test_two_components_of_one_name_and_plain_classes_as_objects_are_refused():
    """Names are what digests and snapshots go by."""
    twin = type("Position", (Component,), {"__annotations__": {"x": i8}, "__module__": __name__})
    with pytest.raises(WorldError, match="two components are called Position"):
        World([Position, twin])
    with pytest.raises(WorldError, match="not a dataclass"):
        World([Position], objects=[int])
    with pytest.raises(WorldError, match="is not a component"):
        World([Memory])


def test_an_undeclared_component_is_an_error_that_says_how_to_declare_it(five):
    """Nothing lives in a world that its hash does not know."""

    class Extra(Component):
        x: i8

    for call in (lambda: five[Extra], lambda: five.query(Extra), lambda: five.spawn({Extra: {}})):
        with pytest.raises(WorldError, match=r"Extra is not declared.*World\(\[\.\.\., Extra\]\)"):
            call()
    with pytest.raises(WorldError, match=r"World\(\.\.\., objects=\[Feeling\]\)"):
        five.attach_object(0, Feeling(0.5))
