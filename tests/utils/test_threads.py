from threading import Barrier

import pytest

from deflicker.utils import threads
from deflicker.utils.threads import count_threads, map_in_order, share_freed_memory


@pytest.mark.parametrize(
    ("text", "cores", "expected"),
    [
        ("none", 8, 1),
        ("quarter", 8, 2),
        ("half", 8, 4),
        ("all", 8, 8),
        ("All", 8, 8),
        ("3", 8, 3),
        ("30", 8, 8),
        ("quarter", 2, 1),
    ],
)
def test_count_threads(monkeypatch, text, cores, expected):
    monkeypatch.setattr(threads, "available_cores", lambda: cores)
    assert count_threads(text) == expected


@pytest.mark.parametrize(
    ("command", "changes"),
    [("/usr/bin/strun", True), ("deflicker", True), ("/usr/bin/pytest", False), ("", False)],
)
def test_only_a_command_changes_the_allocator(monkeypatch, command, changes):
    set_options = []

    class Library:
        def mallopt(self, option, value):
            set_options.append((option, value))

    monkeypatch.setattr(threads.ctypes, "CDLL", lambda _: Library())
    monkeypatch.setattr(threads.sys, "platform", "linux")
    monkeypatch.setattr(threads.sys, "argv", [command])
    share_freed_memory()
    assert set_options == (list(threads.ALLOCATOR.items()) if changes else [])


@pytest.mark.parametrize("text", ["0", "-1", "most", "", "1.5"])
def test_wrong_number(text):
    with pytest.raises(ValueError, match="maximum_cores"):
        count_threads(text)


@pytest.mark.parametrize("n_threads", [1, 4])
def test_map_keeps_the_order_and_raises(n_threads):
    squares = map_in_order(lambda x: x * x, range(20), n_threads=n_threads)
    assert list(squares) == [x * x for x in range(20)]
    with pytest.raises(ZeroDivisionError):
        list(map_in_order(lambda x: 1 / x, [1, 0], n_threads=n_threads))


def test_map_runs_on_all_its_threads():
    """Three calls wait for each other: fewer threads would never come to the third."""
    meeting = Barrier(3, timeout=60)
    assert sorted(map_in_order(lambda _: meeting.wait(), range(3), n_threads=3)) == [0, 1, 2]


@pytest.mark.parametrize("n_threads", [1, 3])
def test_map_takes_items_as_results_are_taken(n_threads):
    """What waits is bounded, however many items there are."""
    taken = []

    def items():
        for number in range(1000):
            taken.append(number)
            yield number

    results = map_in_order(lambda x: x, items(), n_threads=n_threads)
    for number in range(5):
        assert next(results) == number
        assert len(taken) <= number + 1 + n_threads
    results.close()
    assert len(taken) < 10
