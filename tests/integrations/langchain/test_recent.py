"""
A memory with an end forgets what was put in first.
"""

from concurrent.futures import ThreadPoolExecutor

from modeltrail_langchain.recent import Recent


def test_15_what_was_put_in_first_is_forgotten() -> None:
    """Beyond the limit each value costs the oldest one."""
    recent: Recent[int, str] = Recent(3)
    for number in range(5):
        recent.put(number, f"value {number}")
    assert len(recent) == 3
    assert [recent.get(number) for number in range(5)] == [
        None,
        None,
        "value 2",
        "value 3",
        "value 4",
    ]


def test_15_what_is_taken_out_makes_room() -> None:
    """A value that is taken out is given back once."""
    recent: Recent[str, int] = Recent(2)
    for number, name in enumerate("ab"):
        recent.put(name, number)
    assert (recent.pop("a"), recent.pop("a"), recent.pop("never")) == (0, None, None)
    recent.put("c", 2)
    assert (recent.get("b"), recent.get("c"), recent.get("a", 7), len(recent)) == (1, 2, 7, 2)


def test_15_new_value_replaces_the_old_one() -> None:
    """The same key again costs no other value its place."""
    recent: Recent[str, int] = Recent(2)
    for number, name in enumerate("abab"):
        recent.put(name, number)
    assert (recent.get("a"), recent.get("b"), len(recent)) == (2, 3, 2)


def test_15_threads_that_put_in_at_once_keep_the_limit() -> None:
    """However many threads put in, no more is kept than the limit."""
    recent: Recent[tuple[int, int], int] = Recent(10)

    def put(thread: int) -> None:
        for number in range(2_000):
            recent.put((thread, number), number)
            recent.pop((thread, number - 1))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(8)))
    assert len(recent) <= 10
