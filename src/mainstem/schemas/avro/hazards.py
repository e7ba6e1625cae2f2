"""What of a schema would let a few bytes stop a process that reads them."""

from mainstem.schemas.avro.language import Array, Fixed, Primitive, Record, Type, inside, parts_of


def recursive(root: Type) -> bool:
    """Whether a type holds itself, however far within: its values can be as deep as their bytes are long."""
    done: set[int] = set()
    for start in parts_of(root):
        open_now: set[int] = set()
        waiting = [(start, False)]
        while waiting:
            node, left = waiting.pop()
            if left:
                open_now.discard(id(node))
                done.add(id(node))
            elif id(node) in open_now:
                return True
            elif id(node) not in done:
                open_now.add(id(node))
                waiting.append((node, True))
                waiting += [(each, False) for each in inside(node)]
    return False


def endless(root: Type) -> bool:
    """Whether there are arrays of what takes no bytes: a count of nine bytes would then be a loop for years."""
    empty: set[int] = set()
    nodes = parts_of(root)
    grows = True
    while grows:
        more = {id(each) for each in nodes if id(each) not in empty and _takes_nothing(each, empty)}
        empty |= more
        grows = bool(more)
    return any(isinstance(each, Array) and id(each.items) in empty for each in nodes)


def _takes_nothing(node: Type, empty: set[int]) -> bool:
    if isinstance(node, Record):
        return all(id(field.type) in empty for field in node.fields)
    if isinstance(node, Fixed):
        return node.size == 0
    return isinstance(node, Primitive) and node.kind == "null"
