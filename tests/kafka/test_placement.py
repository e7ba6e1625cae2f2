"""Who stands by for which task: every member works out the same, and no two of one folder for the same task."""

from collections import Counter

from mainstem.broker.kafka.copies import Seat, folder_of, named_with, to_follow

TASKS = 24


def group(folders: int, members_each: int) -> list[Seat]:
    """Members that have the tasks in turn."""
    count = folders * members_each
    return [
        Seat(f"member-{number}", f"folder-{number % folders}", frozenset(range(number, TASKS, count)))
        for number in range(count)
    ]


def followed(seats: list[Seat], standbys: int) -> Counter[int]:
    """How many stand by for each task."""
    return Counter(task for seat in seats for task in to_follow(seats, seat.member, standbys))


def test_every_task_has_as_many_standbys_as_are_asked_for() -> None:
    """Or as many as there are other folders."""
    for folders, members_each in ((2, 1), (3, 2), (4, 3)):
        for standbys in range(6):
            wanted = min(standbys, folders - 1)
            found = followed(group(folders, members_each), standbys)
            assert [found[task] for task in range(TASKS)] == [wanted] * TASKS


def test_nobody_stands_by_beside_the_owner() -> None:
    """Processes of a folder share its copies, so a second one would be of no use."""
    seats = group(3, 2)
    for seat in seats:
        neighbours = frozenset[int]().union(*(each.tasks for each in seats if each.folder == seat.folder))
        assert not to_follow(seats, seat.member, 2) & neighbours
    assert followed(group(1, 4), 1) == {}


def test_a_folder_has_a_task_once() -> None:
    """Two members of a folder never follow the same task, and the work is shared."""
    seats = group(2, 3)
    shares = [to_follow(seats, seat.member, 1) for seat in seats if seat.folder == "folder-0"]
    assert sum(map(len, shares)) == len(frozenset[int]().union(*shares)) == TASKS // 2
    assert all(shares)


def test_who_leaves_moves_only_what_was_theirs() -> None:
    """The other standbys stay where they are warm."""
    seats = group(4, 1)
    fewer = [*seats[:3], Seat("member-4", None, seats[3].tasks)]
    for seat in seats[:3]:
        assert to_follow(seats, seat.member, 1) - seats[3].tasks <= to_follow(fewer, seat.member, 1)


def test_a_member_without_a_folder_only_owns() -> None:
    """It may be an older process; others stand by for its tasks, and it for nobody."""
    seats = [Seat("old", None, frozenset({0, 1})), Seat("new", "folder", frozenset({2, 3}))]
    assert to_follow(seats, "old", 1) == frozenset()
    assert to_follow(seats, "new", 1) == {0, 1}
    assert to_follow(seats, "unheard of", 1) == frozenset()


def test_a_folder_travels_in_the_client_id() -> None:
    """Behind whatever a user has chosen; and nothing else is taken for one."""
    assert folder_of(named_with("shop@eu", "01a1-4f")) == "01a1-4f"
    assert folder_of("shop@eu") is None
