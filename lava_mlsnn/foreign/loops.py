"""A forward that loops over timesteps itself, as snnTorch's do, read as one timestep.

The loop is run as it is: every neuron is called once a timestep, and what is called in
timestep t must be what was called in the first, with t in place of it. Ours.
"""

from __future__ import annotations

from lava_mlsnn.export.graph import DATA, Node, Offence

__all__ = ["fold"]

STATIC = -1  # a node that is the same in every timestep


def fold(
    nodes: list[Node], calls: dict[str, list[int]], entries: dict[int, int], timesteps: int
) -> tuple[list[Node], dict[int, tuple[int, int]]] | Offence:
    """The nodes of one timestep, and for every node its counterpart there, and when it is.

    Parameters
    ----------
    nodes : list of Node
        Of all timesteps, in the order of their calls.
    calls : dict
        Neurons by name, and the node of each call.
    entries : dict
        Nodes that read the samples of one timestep, and of which.
    timesteps : int
        T that the network is exported for.

    Returns
    -------
    Offence
        Where the timesteps differ, mix, or are not T.
    """
    counts = {len(found) for found in calls.values()}
    loops = bool(entries) or max(counts) > 1
    if loops and len(counts) > 1:
        few, many = min(counts), max(counts)
        return Offence("the forward", f"calls some neurons {few} times, others {many} times")
    if loops and counts != {timesteps}:
        return Offence(
            "the forward",
            f"calls every neuron {max(counts)} times, but the network is for T = {timesteps}; call "
            "it once, for one timestep, or T times",
        )
    found = calls.values() if loops else ()
    turns = {index: t for indices in found for t, index in enumerate(indices)}
    kept: list[Node] = []
    known: dict[tuple[object, tuple[int, ...]], int] = {}
    mapped: dict[int, tuple[int, int]] = {DATA: (DATA, STATIC)}
    for index, node in enumerate(nodes):
        what = f"layer {node.name!r}: {type(node.module).__name__}"
        when = {mapped[s][1] for s in node.sources} - {STATIC}
        when |= {entries[index]} if index in entries else set()
        if len(when | ({turns[index]} if index in turns else set())) > 1:
            return Offence(what, "gets what was sent in another timestep; neurons keep time here")
        sources = tuple(mapped[s][0] for s in node.sources)
        key = type(node.module) if node.made else id(node.module), sources
        turn = turns.get(index, next(iter(when), STATIC))
        if key not in known:
            again = any(k[0] == key[0] for k in known) and bool(node.module.state_dict())
            if turn > 0 or (again and not node.made):
                return Offence(what, "is used twice, for different things; give each its own layer")
            known[key] = len(kept)
            kept.append(Node(node.name, node.module, sources, node.shape, None, node.made))
        mapped[index] = known[key], turn
    return kept, mapped
