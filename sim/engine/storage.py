"""Storage: a table for each component, all with one row for each living entity, and views that show the columns.

- **A column is stored as [*shape, capacity]** and shown as a view of the n living rows. A view is valid until the next
  flush that changes something; after that, the view object raises an error.
- **Entities without a component have zeros in its columns**, and entries of a column beyond those in use are zeros, so
  that equal states have equal bytes.

A flush calls the methods that change the rows in this order: `set_membership`, `compact`, `append`, `finish_flush`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sim.engine.columns import Component
from sim.engine.commands import Membership, Spawn
from sim.engine.kept import Kept, KeptColumns
from sim.engine.rows import Rows
from sim.engine.tables import Names, Store, Table
from sim.engine.texts import Texts
from sim.engine.values import canonical_floats, frozen, frozen_copy, grown
from sim.errors import WorldError

FEW_ROWS: Final = 2000
"""With fewer rows a flush moves a column in one step, otherwise line by line; only the speed differs."""


class TextContent:
    """Returns a column of texts by content, and keeps the result until a value in the column changes."""

    def __init__(self, store: Store, kept: Kept) -> None:
        self._store = store
        self._kept = kept
        self._raw: bytes | None = None
        self._content: tuple[NDArray[np.int32], tuple[str, ...]] = (np.zeros(0, np.int32), ())

    def of_kept(self) -> tuple[NDArray[np.int32], tuple[str, ...]]:
        """Return the content at the last look in the form of `Texts.canonical`."""
        if self._kept.raw is not self._raw:
            numbers, texts = self._store.texts.canonical(self._kept.array())
            self._raw, self._content = self._kept.raw, (frozen(numbers), texts)
        return self._content


class Storage:
    """Holds every component's columns, one row for each of the living.

    Args:
        components: every component of the world.
        rows: the living entities.
        sizes: the sizes that `per` may name, tables included.
        names: the tables of names.
        texts: the world's texts.
        name: the name of the world in errors.
        debug: whether arrays become read-only when their views become stale.

    Attributes:
        rows: the living entities.
        tables: one for each component, in the order declared.
        by_component: the same by component.
        kept: the entries in use of every column, as they were at the last look.
        kept_keys: the keys at the last look.
        views: by component, the views that are valid now.
        has_floats: whether a column holds floats.
    """

    def __init__(
        self,
        components: Sequence[type[Component]],
        rows: Rows,
        *,
        sizes: dict[str, int],
        names: Names,
        texts: Texts,
        name: str,
        debug: bool,
    ) -> None:
        self.rows = rows
        self.tables = tuple(Table(component, sizes, names, texts) for component in components)
        self.by_component = {table.component: table for table in self.tables}
        self._stores = tuple(store for table in self.tables for store in table.stores)
        self._labels = {store.spec.label: place for place, store in enumerate(self._stores)}
        self.kept = tuple(Kept(store.spec.dtype) for store in self._stores)
        self.kept_keys = Kept(rows.keys.dtype)
        self._steady: list[tuple[Kept, NDArray[Any]]] = []
        self._varying: list[tuple[Kept, Store]] = []
        self._seen = -1
        """The version of the rows for which `_steady` (columns that show one array until then) and `_varying` hold."""
        self._floats = tuple(store for store in self._stores if store.spec.dtype.kind == "f")
        self.has_floats = bool(self._floats)
        self._allocate(rows.capacity, 0)
        self.views: dict[type[Any], Any] = {}
        self._name = name
        self._debug = debug
        self._handed: list[NDArray[Any]] = []
        self._rows_with: dict[tuple[type[Component], ...], NDArray[np.intp]] = {}
        self._contents = {
            store.spec.label: TextContent(store, kept)
            for store, kept in zip(self._stores, self.kept, strict=True)
            if store.spec.is_text
        }
        self._unmoved = 0
        """Rows before this one have not moved since the last `rebuild_indices`."""

    def table(self, component: type[Component]) -> Table:
        """Find a component's table.

        Raises:
            WorldError: the component is not a class, or not declared.
        """
        try:
            table = self.by_component.get(component)
        except TypeError:  # a list, say, which has no hash
            table = None
        if table is None:
            if not isinstance(component, type):
                raise WorldError(
                    f"a component's class is expected, not {type(component).__name__}; rows come before the component, "
                    "as in attach(rows, Component)"
                )
            name = getattr(component, "__name__", repr(component))
            raise WorldError(f"{name} is not declared in {self._name}; add it to the components or resources")
        return table

    def owner(self, array: NDArray[Any]) -> Store | None:
        """Find the column that an array is a view of, or None."""
        return next((store for store in self._stores if np.may_share_memory(store.data, array)), None)

    # -- reading ---------------------------------------------------------------------------------------------------

    def view(self, component: type[Any]) -> Any:
        """Return the columns of a component: arrays `[..., n]`, valid until `close_views`.

        Raises:
            WorldError: the component is not declared.
        """
        table = self.table(component)
        view: Any = table.view_type()
        for store in table.stores:
            array = store.data[..., : self.rows.n]
            object.__setattr__(view, store.spec.name, array)
            if self._debug:
                self._handed.append(array)
        self.views[component] = view
        return view

    def rows_with(self, components: tuple[type[Component], ...]) -> NDArray[np.intp]:
        """Find the rows that have all of these components, ascending; kept until rows or memberships change.

        Raises:
            WorldError: a component is not declared.
        """
        try:
            found = self._rows_with.get(components)
        except TypeError:  # one of them has no hash: `table` says what is wrong
            found = None
        if found is None:
            n = self.rows.n
            masks = [mask[:n] for mask in (self.table(each).mask for each in components) if mask is not None]
            together = reduce(np.logical_and, masks).nonzero()[0] if masks else np.arange(n)
            found = self._rows_with[components] = frozen(together)
        return found

    def close_views(self) -> None:
        """Make every view returned so far raise an error when it is used."""
        for component, view in self.views.items():
            for store in self.table(component).stores:
                object.__delattr__(view, store.spec.name)
        self.views.clear()
        for array in self._handed:
            array.flags.writeable = False
        self._handed.clear()

    # -- changing rows and memberships -----------------------------------------------------------------------------

    def set_membership(self, change: Membership) -> None:
        """Give a component to rows, or take it from them."""
        table = change.table
        if table.mask is None:
            table.mask = self._full_mask()
        table.mask[change.rows] = change.values is not None
        for store in table.stores:
            store.data[..., change.rows] = 0 if change.values is None else store.spec.default
        for store, array in change.values or ():
            store.data[..., change.rows] = array

    def compact(self, dead: NDArray[np.bool_]) -> None:
        """Close the gaps of dead entities, keeping the order; at least one entity must be dead."""
        self.rows.forget(self.rows.keys[: self.rows.n][dead])
        first = int(dead.argmax())
        kept = np.flatnonzero(~dead[first:])
        kept += first
        self._permute(kept, first)
        self.rows.n = first + kept.size

    def append(self, spawns: Sequence[Spawn], keys: NDArray[np.int64]) -> None:
        """Add new entities under these keys, `[born]`, and merge them into key order."""
        rows = self.rows
        start, rows.n = rows.n, rows.n + keys.size
        self.reserve(rows.n, start)
        rows.keys[start : rows.n] = keys
        for table in self.tables:
            self._add_members(table, spawns, start)
        row = start
        for spawn in spawns:
            for store, array in spawn.values:
                store.data[..., row : row + spawn.count] = array
            row += spawn.count
        lowest = keys.min()
        if (keys[1:] > keys[:-1]).all() and (start == 0 or lowest > rows.keys[start - 1]):
            self._unmoved = min(self._unmoved, start)
            return
        first = int(np.searchsorted(rows.keys[:start], lowest))
        order = np.argsort(rows.keys[first : rows.n], kind="stable")
        order += first
        self._permute(order, first)

    def reserve(self, need: int, n: int) -> None:
        """Make room for `need` rows, keeping the first n."""
        if need <= self.rows.capacity:
            return
        capacity = max(need, 2 * self.rows.capacity)
        self._allocate(capacity, n)
        for table in self.tables:
            if table.mask is not None:
                table.mask = grown(table.mask, n, capacity)
        self.rows.grow(n, capacity)

    def _allocate(self, capacity: int, n: int) -> None:
        """Give all columns memory for `capacity` rows, and move the first n there."""
        for store in self._stores:
            data = np.zeros((*store.spec.shape, capacity), dtype=store.spec.dtype)
            data[..., :n] = store.data[..., :n]
            store.take(data)

    def finish_flush(self) -> None:
        """Finish a change of rows or memberships: drop masks that all rows have, then `rebuild_indices`."""
        for table in self.tables:
            if table.mask is not None and table.mask[: self.rows.n].all():
                table.mask = None
        self.rebuild_indices()

    def rebuild_indices(self) -> None:
        """Update the data derived from rows and memberships: the index from key to row, and the kept queries."""
        self.rows.reindex(self._unmoved)
        self._unmoved = self.rows.n
        self._rows_with.clear()

    def _full_mask(self) -> NDArray[np.bool_]:
        mask = np.zeros(self.rows.capacity, dtype=np.bool_)
        mask[: self.rows.n] = True
        return mask

    def _permute(self, order: NDArray[np.intp], first: int) -> None:
        """Put the rows `order` at `first` and after; entries beyond those in use stay untouched."""
        last, n = first + order.size, self.rows.n
        self._unmoved = min(self._unmoved, first)
        # The entries in use are read for all columns before the length columns, which count them, move themselves.
        sources = [store.used(n) for table in self.tables for store in table.stores]
        sources += [table.mask[:n] for table in self.tables if table.mask is not None]
        sources.append(self.rows.keys[:n])
        for source in sources:
            if order.size < FEW_ROWS:
                source[..., first:last] = source[..., order]
                continue
            # Line by line, because indexing the last axis of a whole block is several times slower for many rows.
            for inner in np.ndindex(source.shape[:-1]):
                line = source[inner]
                line[first:last] = line.take(order, mode="clip")

    def _add_members(self, table: Table, spawns: Sequence[Spawn], start: int) -> None:
        everybody = all(table.component in spawn.components for spawn in spawns)
        for store in table.stores:
            store.data[..., start : self.rows.n] = store.spec.default
        if table.mask is None and everybody:
            return
        if table.mask is None:
            table.mask = self._full_mask()
        row = start
        for spawn in spawns:
            member = table.component in spawn.components
            table.mask[row : row + spawn.count] = member
            if not member:
                for store in table.stores:
                    store.data[..., row : row + spawn.count] = 0
            row += spawn.count

    # -- going back ------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Update the kept content of the keys and columns.

        Raises:
            WorldError: a column that counts the entries in use counts more than there are.
        """
        self.normalise()
        n = self.rows.n
        if self._seen != self.rows.version:
            self.kept_keys.look(self.rows.living)
            self._steady, self._varying = [], []
            for kept, store in zip(self.kept, self._stores, strict=True):
                array = store.used(n)
                kept.look(array)
                if store.lengths is None and array.flags.c_contiguous:
                    self._steady.append((kept, array))
                else:
                    self._varying.append((kept, store))
            self._seen = self.rows.version
            return
        for kept, array in self._steady:
            if not kept.raw.startswith(array):  # type: ignore[arg-type] # as in `Kept.look`
                kept.raw = array.tobytes()
        for kept, store in self._varying:
            kept.look(store.used(n))

    def columns(self) -> Mapping[str, NDArray[Any]]:
        """Return the entries in use at the last look, by "Component.column"; texts by content."""
        return KeptColumns(
            self._labels, self.kept, {label: content.of_kept()[0] for label, content in self._contents.items()}
        )

    def texts(self) -> dict[str, tuple[str, ...]]:
        """Return the texts that the numbers of `columns` stand for, by "Component.column"."""
        return {label: content.of_kept()[1] for label, content in self._contents.items()}

    def content(self, store: Store) -> tuple[NDArray[Any], tuple[str, ...]]:
        """Return a column of texts by content, as it was at the last look."""
        return self._contents[store.spec.label].of_kept()

    def normalise(self) -> None:
        """Make the floats canonical, so that equal states have equal bytes."""
        for store in self._floats:
            canonical_floats(store.data)

    def masks(self) -> dict[str, NDArray[np.bool_]]:
        """Copy the memberships, `[n] bool` by component; a component that all rows have is left out."""
        n = self.rows.n
        return {table.schema.name: frozen_copy(table.mask[:n]) for table in self.tables if table.mask is not None}

    def replace_rows(self, keys: NDArray[np.int64]) -> None:
        """Replace all rows by one row for each of these keys."""
        rows = self.rows
        rows.forget(rows.living)
        rows.n = keys.size
        self.reserve(keys.size, 0)
        rows.keys[: rows.n] = keys
        self._unmoved = 0

    def restore(
        self,
        columns: Mapping[str, NDArray[Any]],
        masks: Mapping[str, NDArray[np.bool_]],
        texts: Mapping[str, tuple[str, ...]],
    ) -> None:
        """Take over the values that `columns`, `masks` and `texts` returned when the same keys lived."""
        n = self.rows.n
        for table in self.tables:
            mask = masks.get(table.schema.name)
            table.mask = None if mask is None else grown(mask, n, self.rows.capacity)
            for store in table.stores:
                kept = columns[store.spec.label]
                if store.spec.is_text:
                    kept = store.texts.localised(kept, texts[store.spec.label])
                if store.lengths is None:
                    store.data[..., :n] = kept
                else:
                    store.data[: kept.shape[0], ..., :n] = kept
                    store.data[kept.shape[0] :, ..., :n] = 0
        self.rebuild_indices()

    def check(self) -> None:
        """Assert that there are zeros where zeros belong.

        Raises:
            WorldError: a column is not zero where its component is absent, or beyond the entries in use.
        """
        n = self.rows.n
        for table in self.tables:
            for store in table.stores:
                values = store.data[..., :n]
                if table.mask is not None and values[..., ~table.mask[:n]].any():
                    raise WorldError(f"{store.spec.label} is not zero where {table.schema.name} is absent")
                if store.lengths is not None:
                    lengths = store.lengths.data[:n]
                    places = np.arange(store.spec.shape[0]).reshape(-1, *(1,) * len(store.spec.shape))
                    if (store.used(n).size or values.any()) and (values * (places >= lengths)).any():
                        raise WorldError(f"{store.spec.label} is not zero beyond {store.lengths.spec.label}")
