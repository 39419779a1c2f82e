"""What a component declares is checked, and columns take only what fits."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Annotated

import numpy as np
import pytest

from sim.engine.columns import Column, Component, column, f64, i8, i64, schema_of
from sim.engine.world import World
from sim.errors import WorldError
from tests.sim.engine.small_world import Position, Route


def test_a_schema_knows_dtype_shape_default_and_label():
    """What is declared can be read back."""
    length, cells = schema_of(Route).columns
    assert (length.label, length.dtype, length.shape, length.default) == ("Route.length", np.int8, (), 0)
    assert (cells.label, cells.dtype, cells.shape, cells.used_by) == ("Route.cells", np.int16, (4, 2), "length")


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Far(IntEnum):
    NEAR = 1
    AWAY = 1000


def declare(annotation, default=None):
    body = {"__annotations__": {"value": annotation}, "__module__": __name__}
    if default is not None:
        body["value"] = default
    return type("Bad", (Component,), body)


def test_annotations_choose_kind_and_dtype():
    """Each form of annotation is one kind of column, in the smallest dtype that holds it."""

    def spec(annotation, default=None):
        (found,) = schema_of(declare(annotation, default)).columns
        return found.kind, found.dtype.name, found.default

    assert spec("bool") == ("number", "bool", False)
    assert spec("float", column(scale=100, default=2.5)) == ("fixed", "int64", 250)
    assert spec(i64, column(scale=4, default=-0.125)) == ("fixed", "int64", -1)
    assert spec(f64, column(default=-0.0)) == ("number", "float64", 0.0)
    assert spec("Colour") == ("enum", "int8", 0)
    assert spec("Far", column(default=Far.AWAY)) == ("enum", "int16", 1000)
    assert spec(i8, column(enum=Colour, default="blue")) == ("enum", "int8", 1)
    assert spec("str") == ("text", "int32", 0)
    assert spec("tuple[str, ...]", column(limit=8)) == ("texts", "int32", 0)


@pytest.mark.parametrize(
    ("annotation", "default", "message"),
    [
        (int, None, r"Bad\.value is annotated .*int"),
        ("float", None, r"Bad\.value: scale is for float and integer columns, and a float column needs one"),
        (f64, column(scale=10), r"Bad\.value: scale is for float"),
        ("float", column(scale=0), r"Bad\.value: scale 0 is not in"),
        ("float", column(scale=100, default=1e300), r"Bad\.value default: .* does not fit int64"),
        ("tuple[str, ...]", None, r"Bad\.value: limit is for tuple"),
        (i8, column(limit=3), r"Bad\.value: limit is for tuple"),
        ("tuple[str, ...]", column(limit=100_000), r"Bad\.value: limit 100000 is not in"),
        ("str", column(default="x"), r"Bad\.value: a column of texts starts without any"),
        ("Colour", column(default=7), r"Bad\.value default: 7 is not one of Colour\.RED, Colour\.BLUE"),
        (i8, column(enum=Far), r"Bad\.value: int8 does not hold the numbers of Far"),
        ("tuple[int, ...]", None, r"Bad\.value is annotated"),
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


def test_a_component_with_private_columns_is_refused_and_one_without_columns_is_a_mark():
    """Names that attribute access would hide are refused; a component may say no more than who has it."""
    assert schema_of(type("Mark", (Component,), {"__module__": __name__})).columns == ()
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


def test_two_components_of_one_name_and_plain_classes_are_refused():
    """Names are what digests and snapshots go by."""
    twin = type("Position", (Component,), {"__annotations__": {"x": i8}, "__module__": __name__})
    with pytest.raises(WorldError, match="two components are called Position"):
        World([Position, twin])
    with pytest.raises(WorldError, match="is not a component"):
        World([int])


def test_an_undeclared_component_is_an_error_that_says_how_to_declare_it(five):
    """Nothing lives in a world that its hash does not know."""

    class Extra(Component):
        x: i8

    for call in (lambda: five[Extra], lambda: five.rows(Extra), lambda: five.spawn({Extra: {}})):
        with pytest.raises(WorldError, match=r"Extra is not declared in .*; add it to the components or resources"):
            call()


def test_a_class_of_a_module_that_python_does_not_list_is_declared_as_any_other():
    """A component made by `exec` or in a module that is not in `sys.modules` has the columns it declares."""
    body = {"__annotations__": {"value": "i32"}, "__module__": "nowhere"}
    (found,) = schema_of(type("Odd", (Component,), body)).columns
    assert found.dtype == np.int32
