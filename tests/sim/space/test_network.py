"""Networks: their making and their lookups, against plain Python."""

from __future__ import annotations

import json
from math import comb, hypot

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.engine.rng import Rng
from sim.errors import WorldError
from sim.space import Network, network
from tests.sim.space import slow
from tests.sim.space.slow import masks, numbers, places


def draws(seed: int):
    """Return counter-based draws as the engine has them."""
    rng = Rng(seed)
    return lambda count, part: rng.draws(np.arange(count), 0, 1000, part)[:, 0]


@st.composite
def networks(draw):
    """Draw a network of up to nine nodes, with the set of neighbours of each node beside it."""
    size = draw(st.integers(1, 9))
    node = st.integers(0, size - 1)
    links = draw(st.lists(st.tuples(node, node).filter(lambda ends: ends[0] != ends[1]), max_size=20))
    near = [sorted({b for a, b in links if a == at} | {a for a, b in links if b == at}) for at in range(size)]
    return Network(size, links), near


@given(drawn=networks(), data=st.data())
def test_neighbours_are_those_of_the_links(drawn, data):
    """Each link counts once and both ways round; neighbours come by node asked and then ascending."""
    net, near = drawn
    assert net.degree.tolist() == [len(others) for others in near]
    assert net.ends().tolist() == [[at, other] for at, others in enumerate(near) for other in others if at < other]
    assert net.links == len(net.ends())
    asked = data.draw(places(net.size))
    which, other = net.neighbours(asked)
    expected = [(place, other) for place, at in enumerate(asked) for other in near[at]]
    assert list(zip(which.tolist(), other.tolist(), strict=True)) == expected
    again = Network(net.size, net.ends()[::-1, ::-1])
    assert (again.starts.tolist(), again.targets.tolist()) == (net.starts.tolist(), net.targets.tolist())
    assert {net.starts.dtype, net.targets.dtype, net.degree.dtype} == {np.dtype(np.int32)}


@given(drawn=networks(), data=st.data())
def test_counts_and_sums_are_those_of_the_neighbours(drawn, data):
    """`count`, `any` and `sum` equal a loop over the neighbours, whether few or many are marked."""
    net, near = drawn
    mask, values = data.draw(masks(net.size)), data.draw(numbers(net.size))
    counts = [sum(bool(mask[other]) for other in others) for others in near]
    assert net.count(mask).tolist() == counts
    assert net.any(mask).tolist() == [count > 0 for count in counts]
    assert net.sum(values).tolist() == [sum(int(values[other]) for other in others) for others in near]


@given(drawn=networks(), data=st.data())
def test_hops_and_components_are_those_of_a_search(drawn, data):
    """Hops equal a breadth-first search; a component bears the number of its lowest node."""
    net, near = drawn
    sources, passable = data.draw(places(net.size)), data.draw(masks(net.size))
    assert net.hops(sources, passable).tolist() == slow.search(net.size, sources, passable, near.__getitem__)
    everywhere = np.ones(net.size, np.bool_)
    reach = [slow.search(net.size, [at], everywhere, near.__getitem__) for at in range(net.size)]
    lowest = [min(other for other in range(net.size) if reach[at][other] < net.size) for at in range(net.size)]
    assert net.components().tolist() == lowest


@given(nodes=st.integers(1, 9), reach=st.integers(1, 9))
def test_a_ring_joins_each_node_to_the_nearest(nodes, reach):
    """Two nodes are joined if the shorter way round the ring is at most `reach`."""
    expected = [
        [at, other]
        for at in range(nodes)
        for other in range(at + 1, nodes)
        if min(other - at, at - other + nodes) <= reach
    ]
    assert Network.ring(nodes, reach).ends().tolist() == expected


@given(nodes=st.integers(1, 12), seed=st.integers(0, 99), data=st.data())
def test_a_random_network_has_as_many_links_as_asked_for(nodes, seed, data):
    """G(n, m) has exactly m links, from none to all, and the same for the same draws."""
    links = data.draw(st.integers(0, comb(nodes, 2)))
    net = Network.erdos_renyi(nodes, links, draws(seed))
    assert net.links == links
    assert np.array_equal(net.ends(), Network.erdos_renyi(nodes, links, draws(seed)).ends())


def test_random_links_are_equally_likely():
    """Over many seeds, sparse or dense, each of ten possible links is about as frequent as the others."""
    for links in (2, 8):
        seen = np.zeros((5, 5), int)
        for seed in range(1000):
            ends = Network.erdos_renyi(5, links, draws(seed)).ends()
            seen[ends[:, 0], ends[:, 1]] += 1
        counts = seen[np.triu_indices(5, 1)]
        # Standard deviation 12.6; the seeds are fixed, so that this passes always or never.
        assert (abs(counts - 100 * links) < 50).all()


@given(nodes=st.integers(3, 30), reach=st.integers(1, 4), ppm=st.integers(0, 1_000_000), seed=st.integers(0, 99))
def test_a_small_world_keeps_the_number_of_links(nodes, reach, ppm, seed):
    """Rewiring neither loses nor doubles a link, and each node keeps those that it counted on to."""
    ring, net = Network.ring(nodes, reach), Network.watts_strogatz(nodes, reach, ppm, draws(seed))
    assert net.links == ring.links
    if 2 * reach < nodes:
        assert net.degree.min() >= reach
    if ppm == 0:
        assert np.array_equal(net.ends(), ring.ends())


def test_a_small_world_is_rewired_as_often_as_asked_for():
    """About a tenth of the links, or all of them, lead somewhere else."""
    ring = {tuple(ends) for ends in Network.ring(1000, 2).ends().tolist()}
    for ppm, low, high in ((100_000, 160, 240), (1_000_000, 1970, 2000)):
        net = {tuple(ends) for ends in Network.watts_strogatz(1000, 2, ppm, draws(1)).ends().tolist()}
        assert low <= len(net - ring) <= high


@given(nodes=st.integers(2, 30), each=st.integers(1, 29), seed=st.integers(0, 99))
def test_a_scale_free_network_brings_its_links_node_by_node(nodes, each, seed):
    """Each node after the first ones joins `links_each` earlier nodes; all hang together."""
    each = min(each, nodes - 1)
    net = Network.barabasi_albert(nodes, each, draws(seed))
    assert net.links == each + (nodes - each - 1) * each
    later = net.ends()[:, 1]
    assert (np.bincount(later, minlength=nodes)[each + 1 :] == each).all()
    assert not net.components().any()


def test_a_scale_free_network_has_hubs():
    """The largest degree is many times the mean, which no random network of this size comes near."""
    scale_free = Network.barabasi_albert(2000, 2, draws(3))
    random = Network.erdos_renyi(2000, scale_free.links, draws(3))
    assert scale_free.degree.max() > 40
    assert random.degree.max() < 20


def test_networks_of_known_draws_stay_what_they_are():
    """Recorded runs rely on it: the same words make the same links in every version and on every machine."""
    assert Network.erdos_renyi(6, 4, draws(1)).ends().tolist() == ERDOS_RENYI
    assert Network.watts_strogatz(8, 1, 500_000, draws(1)).ends().tolist() == WATTS_STROGATZ
    assert Network.barabasi_albert(6, 2, draws(1)).ends().tolist() == BARABASI_ALBERT


ERDOS_RENYI = [[0, 5], [2, 3], [2, 4], [4, 5]]
WATTS_STROGATZ = [[0, 5], [1, 7], [2, 7], [3, 4], [4, 5], [4, 7], [5, 6], [6, 7]]
BARABASI_ALBERT = [[0, 1], [0, 2], [0, 3], [1, 3], [1, 4], [2, 5], [3, 4], [3, 5]]


@given(nodes=st.integers(1, 200))
def test_a_layout_is_a_circle_of_integers(nodes):
    """All nodes lie within 0.2 % of the circle, the first at the top and the others clockwise."""
    x, y = Network(nodes).layout()
    middle = network.LAYOUT_RADIUS
    assert (x[0], y[0]) == (middle, 0)
    for a, b in zip(x.tolist(), y.tolist(), strict=True):
        assert abs(hypot(a - middle, b - middle) - middle) <= 0.0023 * middle
        assert 0 <= min(a, b) <= max(a, b) <= 2 * middle
    if nodes % 4 == 0:
        assert (x[nodes // 4], y[nodes // 4]) == (2 * middle, middle)


def test_a_description_is_plain_data():
    """A description survives JSON, as viewers and file headers need."""
    described = Network(3, [(0, 1)]).describe()
    assert json.loads(json.dumps(described)) == {
        "kind": "network",
        "nodes": 3,
        "links": 1,
        "width": 20_001,
        "height": 20_001,
    }


def test_agents_are_found_by_node():
    """An index over nodes answers as one over cells does."""
    index = Network.ring(4).index([2, 2, 0], [5, 7, 9])
    assert index.count.tolist() == [1, 0, 2, 0]
    assert index.rows_at(2).tolist() == [5, 7]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Network(0), "network nodes is 0"),
        (lambda: Network(3, [(0, 3)]), "links hold 3; they must be in 0..2"),
        (lambda: Network(3, [(0, 1), (2, 2)]), "link 1 joins node 2 to itself"),
        (lambda: Network(3, [(0, 1, 2)]), "two ends each"),
        (lambda: Network(3, [0.5, 1.5]), "links must be integers"),
        (lambda: Network.ring(3, 0), "reach is 0"),
        (lambda: Network.ring(10_000_000, 2), "too many links; at most 10,000,000"),
        (lambda: Network.erdos_renyi(3, 4, draws(1)), "network links is 4; it must be a whole number in 0..3"),
        (lambda: Network.watts_strogatz(5, 1, -1, draws(1)), "rewired_ppm is -1"),
        (lambda: Network.barabasi_albert(3, 3, draws(1)), "links_each is 3; it must be a whole number in 1..2"),
        (lambda: Network.erdos_renyi(5, 4, lambda count, part: np.zeros(count - 1, int)), "returned 19 words"),
        (lambda: Network.erdos_renyi(5, 4, lambda count, part: np.zeros(count)), "draws must be integers"),
        (lambda: Network.erdos_renyi(5, 4, lambda count, part: np.zeros(count, int)), "same words for every part"),
        (lambda: Network.barabasi_albert(9, 3, lambda count, part: np.zeros(count, int)), "same words for every part"),
        (lambda: Network(3).count([True]), "mask must have one value for each of the 3 places"),
        (lambda: Network(3).neighbours([3]), "nodes hold 3"),
        (lambda: Network(3).hops(-1), "sources hold -1"),
    ],
)
def test_wrong_arguments_are_one_sentence(call, message):
    """A wrong argument is refused with its name and its limits."""
    with pytest.raises(WorldError, match=message):
        call()
