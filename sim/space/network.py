"""A network: nodes and the undirected links between them, fixed for a run.

Links are stored as compressed rows: the neighbours of node v are `targets[starts[v]:starts[v + 1]]`, ascending. Each
link is stored twice, once for each end. There are no loops and no double links.

The generators take `draws(count, part)`, a function that returns `count` random words (integers in 0..2**32-1) for a
part number 0, 1, 2, ... It must return the same words whenever it is called with the same numbers, and independent
words for different parts. With counter-based draws:

    Network.erdos_renyi(100, 300, lambda count, part: rng.draws(np.arange(count), 0, LINKS, part)[:, 0])

All numbers are integers, so the same words make the same network on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.errors import WorldError, short
from sim.space.arrays import Ints, below, bounded, flat, integers, mask_of, numbers_below, per_place, runs, whole
from sim.space.index import Index
from sim.space.search import hops

NODES_MAX: Final = 10_000_000
"""The most nodes that a network may have."""
LINKS_MAX: Final = 10_000_000
"""The most links that a network may have."""
PARTS_MAX: Final = 1_000
"""The number of parts without a new link after which a generator reports that the draws repeat."""
CHUNK: Final = 65_536
"""The most words that are drawn at once while links are made one by one."""
ROUNDS_MAX: Final = 64
"""The number of rounds in which a link that could not be rewired tries another end."""
LAYOUT_RADIUS: Final = 10_000
"""The radius of the circle on which a layout places the nodes."""

Draws = Callable[[int, int], ArrayLike]
"""`draws(count, part)`: `[count]` random words; see this module's docstring."""


class Network:
    """Nodes `0..nodes-1` and undirected links between them.

    Args:
        nodes: number of nodes, 1 to `NODES_MAX`.
        links: `[links, 2]` integers, the two ends of each link in any order; a link that is given twice counts once.

    Attributes:
        size: number of nodes; arrays over nodes have this length.
        links: number of links.
        starts: `[size + 1] int32`, the position in `targets` at which the neighbours of each node start.
        targets: `[2 * links] int32`, neighbours, ascending for each node.
        degree: `[size] int32`, the number of neighbours of each node.

    Raises:
        WorldError: there are too many nodes or links, an end is not a node, or a link joins a node to itself.
    """

    kind: Final = "network"

    def __init__(self, nodes: int, links: ArrayLike = ()) -> None:
        self.size = whole(nodes, "network nodes", 1, NODES_MAX)
        ends = integers(links, "links")
        if not ends.size:
            ends = ends.reshape(0, 2)
        if ends.ndim != 2 or ends.shape[1] != 2:
            raise WorldError(f"links must have two ends each, shape [links, 2], not {ends.shape}")
        if len(ends) > 2 * LINKS_MAX:
            raise WorldError(f"a network of {len(ends):,} links; at most {LINKS_MAX:,}")
        ends = numbers_below(ends, self.size, "links")
        loops = (ends[:, 0] == ends[:, 1]).nonzero()[0]
        if len(loops):
            raise WorldError(f"link {loops[0]} joins node {ends[loops[0], 0]} to itself; leave it out")
        both = np.concatenate([ends, ends[:, ::-1]])
        # One number for each direction, sorted: by node, then by neighbour.
        keys = np.unique(both[:, 0] * self.size + both[:, 1])
        self.links = len(keys) // 2
        if self.links > LINKS_MAX:
            raise WorldError(f"a network of {self.links:,} links; at most {LINKS_MAX:,}")
        node = keys // self.size
        self._targets: Ints = keys - node * self.size
        degree = np.bincount(node, minlength=self.size)
        self._starts: Ints = np.concatenate([[0], degree.cumsum()])
        self.starts: NDArray[np.int32] = self._starts.astype(np.int32)
        self.targets: NDArray[np.int32] = self._targets.astype(np.int32)
        self.degree: NDArray[np.int32] = degree.astype(np.int32)

    def __repr__(self) -> str:
        return f"Network({self.size} nodes, {self.links} links)"

    # -- generators ------------------------------------------------------------------------------------------------

    @classmethod
    def ring(cls, nodes: int, reach: int = 1) -> Network:
        """Return a ring in which each node is joined to the `reach` nearest on either side.

        Raises:
            WorldError: `nodes` or `reach` is out of range, or there are more than `LINKS_MAX` links.
        """
        return cls(nodes, _ring(nodes, reach))

    @classmethod
    def erdos_renyi(cls, nodes: int, links: int, draws: Draws) -> Network:
        """Return a network with a fixed number of random links, G(n, m): all such networks are equally likely.

        Args:
            nodes: number of nodes.
            links: number of links; at most one for each pair of nodes.
            draws: the source of random words: `run.words(purpose("net"))`.

        Raises:
            WorldError: a number is out of range.
        """
        size = whole(nodes, "network nodes", 1, NODES_MAX)
        most = size * (size - 1) // 2
        wanted = whole(links, "network links", 0, min(most, LINKS_MAX))
        # If most pairs are joined, it is faster to draw the pairs that are not.
        few = min(wanted, most - wanted)
        found: Ints = np.zeros(0, np.int64)
        part = 0
        while len(found) < few:
            if part > PARTS_MAX:
                raise WorldError("draws gives the same words for every part, so no more links can be found")
            count = few - len(found) + 16
            one, other = below(_words(draws, count, part), size), below(_words(draws, count, part + 1), size - 1)
            other += other >= one
            keys = np.concatenate([found, np.minimum(one, other) * size + np.maximum(one, other)])
            # Each pair counts once, at its first draw.
            found = keys[np.sort(np.unique(keys, return_index=True)[1])][:few]
            part += 2
        if few < wanted:
            low, high = np.triu_indices(size, 1)
            found = np.setdiff1d(low * size + high, found, assume_unique=True)
        return cls(size, np.stack([found // size, found % size], 1))

    @classmethod
    def watts_strogatz(cls, nodes: int, reach: int, rewired_ppm: int, draws: Draws) -> Network:
        """Return a small world: a ring with some links rewired to a random node.

        Each link of `ring(nodes, reach)` is rewired with the given probability. It keeps its first end (the node from
        which the ring counts on). Its other end becomes a random node that is not the first end and not yet joined to
        it. A link that finds no such node in `ROUNDS_MAX` tries stays as it was. The number of links does not change.

        Args:
            nodes: number of nodes.
            reach: neighbours on either side, 1 or more.
            rewired_ppm: the probability of rewiring a link, in parts per million, 0 to 1,000,000.
            draws: the source of random words: `run.words(purpose("net"))`.

        Raises:
            WorldError: a number is out of range.
        """
        ends = _ring(nodes, reach)
        chance = whole(rewired_ppm, "rewired_ppm", 0, 1_000_000)
        size = int(nodes)
        waiting = (below(_words(draws, len(ends), 0), 1_000_000) < chance).nonzero()[0]
        keys = np.sort(_link_keys(ends, size))
        for part in range(1, ROUNDS_MAX + 1):
            if not len(waiting):
                break
            near = ends[waiting, 0]
            offer = np.stack([near, below(_words(draws, len(waiting), part), size)], 1)
            offered = _link_keys(offer, size)
            # A waiting link keeps its old end until it has a new one. Of equal candidates the first counts.
            first = np.zeros(len(waiting), np.bool_)
            first[np.unique(offered, return_index=True)[1]] = True
            taken = keys[np.minimum(keys.searchsorted(offered), len(keys) - 1)] == offered
            fine = first & ~taken & (offer[:, 1] != near)
            ends[waiting[fine]] = offer[fine]
            keys = np.sort(_link_keys(ends, size))
            waiting = waiting[~fine]
        return cls(size, ends)

    @classmethod
    def barabasi_albert(cls, nodes: int, links_each: int, draws: Draws) -> Network:
        """Return a scale-free network: nodes are added one by one and join nodes with more links more often.

        The first `links_each + 1` nodes form a star around node 0; each later node joins `links_each` different
        earlier ones. This takes about a microsecond per link.

        Args:
            nodes: number of nodes, more than `links_each`.
            links_each: links that each new node brings, 1 or more.
            draws: the source of random words: `run.words(purpose("net"))`.

        Raises:
            WorldError: a number is out of range, or there would be more than `LINKS_MAX` links.
        """
        size = whole(nodes, "network nodes", 2, NODES_MAX)
        each = whole(links_each, "links_each", 1, min(size - 1, LINKS_MAX // size))
        ends = [(0, node) for node in range(1, each + 1)]
        # This lists each node once for each of its links.
        bag = [node for link in ends for node in link]
        stream = _stream(draws, size * each)
        for node in range(each + 1, size):
            chosen: list[int] = []
            bound = len(bag)
            while len(chosen) < each:
                other = bag[next(stream) * bound >> 32]
                if other not in chosen:
                    chosen.append(other)
            for other in chosen:
                ends.append((other, node))
                bag += (other, node)
        return cls(size, ends)

    # -- lookups ---------------------------------------------------------------------------------------------------

    def neighbours(self, nodes: ArrayLike) -> tuple[Ints, Ints]:
        """Return the neighbours of some nodes.

        Args:
            nodes: `[k]`, in any order, repeats allowed.

        Returns:
            `which [p]` (the position in `nodes`, ascending) and `neighbour [p]` (ascending for each position).

        Raises:
            WorldError: a node does not exist, or there are more than `PAIRS_MAX` pairs.
        """
        at = numbers_below(flat(nodes, "nodes"), self.size, "nodes")
        first = self._starts[at]
        count = self._starts[at + 1] - first
        bounded(int(count.sum()), "network.neighbours")
        return np.arange(len(at)).repeat(count), self._targets[runs(first, count)]

    def count(self, mask: ArrayLike) -> Ints:
        """Return the number of marked neighbours of each node, `[size] int64`.

        Args:
            mask: `[size]` booleans.
        """
        marked = mask_of(mask, self.size, "mask")
        nodes = marked.nonzero()[0]
        if 4 * len(nodes) < self.size:
            # Few nodes are marked: add one at the neighbours of each.
            return np.bincount(self.neighbours(nodes)[1], minlength=self.size)
        return self.sum(marked)

    def sum(self, values: ArrayLike) -> Ints:
        """Return the sum of the values of each node's neighbours, `[size] int64`.

        Args:
            values: `[size]` integers; the sum over all links must fit into 64 bits.
        """
        own = per_place(values, self.size, "values")
        sums = np.zeros(len(self._targets) + 1, np.int64)
        np.cumsum(own[self._targets], out=sums[1:])
        at_starts = sums[self._starts]
        return at_starts[1:] - at_starts[:-1]

    def any(self, mask: ArrayLike) -> NDArray[np.bool_]:
        """Return which nodes have a marked neighbour, `[size] bool`."""
        return self.count(mask) > 0

    def hops(self, sources: ArrayLike, passable: ArrayLike | None = None) -> NDArray[np.int32]:
        """Return the number of links on a shortest path from the nearest source to each node, `[size] int32`.

        Args:
            sources: one node or several; sources that are not passable are ignored.
            passable: nodes that a path may run through, its ends included, `[size]`; by default all.

        Returns:
            Hops; `UNREACHABLE` if there is no path.
        """
        starts = np.unique(numbers_below(sources, self.size, "sources").ravel())
        mask = np.ones(self.size, np.bool_) if passable is None else mask_of(passable, self.size, "passable")
        return hops(starts, mask, lambda level: self.neighbours(level)[1])

    def components(self) -> NDArray[np.int32]:
        """Return for each node the lowest node of its connected component, `[size] int32`."""
        # scipy takes long to import, and most runs never need this.
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import connected_components

        ones = np.ones(len(self.targets), np.int8)
        graph = csr_array((ones, self.targets, self.starts), shape=(self.size, self.size))
        labels = connected_components(graph, directed=False)[1]
        # The first node of each label is its lowest.
        lowest = np.unique(labels, return_index=True)[1]
        return lowest[labels].astype(np.int32)

    def index(self, nodes: ArrayLike, rows: ArrayLike | None = None) -> Index:
        """Return an index of agents by the node that each stands on; see `Index`."""
        return Index(nodes, self.size, rows)

    # -- for viewers -----------------------------------------------------------------------------------------------

    def ends(self) -> NDArray[np.int32]:
        """Return the two ends of each link, the lower first, `[links, 2] int32`, sorted."""
        node = np.arange(self.size).repeat(self.degree)
        once = node < self._targets
        return np.stack([node[once], self._targets[once]], 1).astype(np.int32)

    def layout(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return the position of each node in a drawing, x and y `[size] int32`: on a circle, clockwise from the top.

        Coordinates run from 0 to `2 * LAYOUT_RADIUS`. They are integers that are equal on every machine, within
        about 0.2 % of a true circle.
        """
        turn = np.arange(self.size) * (4 * _QUARTER) // self.size
        x, y = LAYOUT_RADIUS + _sine(turn), LAYOUT_RADIUS - _sine(turn + _QUARTER)
        return x.astype(np.int32), y.astype(np.int32)

    def describe(self) -> dict[str, Any]:
        """Return the description for viewers and file headers: kind, nodes, links, and the size of the layout."""
        side = 2 * LAYOUT_RADIUS + 1
        return {"kind": self.kind, "nodes": self.size, "links": self.links, "width": side, "height": side}


_QUARTER: Final = 900_000
"""A quarter turn, in the unit of angles that layouts use."""


def _sine(angle: Ints) -> Ints:
    """Return `LAYOUT_RADIUS` times the sine, by Bhaskara's rational approximation, which needs no floats."""
    half = angle % (2 * _QUARTER)
    product = half * (2 * _QUARTER - half)
    height = 4 * LAYOUT_RADIUS * product // (5 * _QUARTER * _QUARTER - product)
    return np.where(angle // (2 * _QUARTER) % 2 == 0, height, -height)


def _ring(nodes: int, reach: int) -> Ints:
    """Return the links of a ring, `[links, 2]`: those of distance 1 by node, then those of distance 2, and so on."""
    size = whole(nodes, "network nodes", 1, NODES_MAX)
    steps = whole(reach, "reach", 1, NODES_MAX)
    if size * min(steps, size // 2) > LINKS_MAX:
        raise WorldError(f"a ring of {size:,} nodes that reach {steps:,} far has too many links; at most {LINKS_MAX:,}")
    node = np.arange(size)
    parts = []
    for step in range(1, min(steps, size // 2) + 1):
        # Half way round, counting from either end gives the same link.
        own = node[: size // 2] if 2 * step == size else node
        parts.append(np.stack([own, (own + step) % size], 1))
    return np.concatenate(parts) if parts else np.zeros((0, 2), np.int64)


def _link_keys(ends: Ints, size: int) -> Ints:
    """Return one number for each link, regardless of the order of its ends."""
    return np.minimum(ends[:, 0], ends[:, 1]) * size + np.maximum(ends[:, 0], ends[:, 1])


def _words(draws: Draws, count: int, part: int) -> Ints:
    if not callable(draws):
        raise WorldError(f"draws is {short(draws)}; give a function of a count and a part")
    words = numbers_below(flat(draws(count, part), "draws"), 2**32, "draws")
    if len(words) != count:
        raise WorldError(f"draws({count}, {part}) returned {len(words)} words")
    return words


def _stream(draws: Draws, needed: int) -> Iterator[int]:
    """Return words one by one; the sizes of the chunks affect the network, so they must not change."""
    chunk = min(needed + 64, CHUNK)
    for part in range(PARTS_MAX + PARTS_MAX * needed // chunk):
        yield from _words(draws, chunk, part).tolist()
    raise WorldError("draws gives the same words for every part, so no more links can be found")
