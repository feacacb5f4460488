"""
Frames as bytes.
"""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from modeltrail.errors import KeyMismatchError
from modeltrail.problems import Problems
from modeltrail.record import Frame, FrameKind
from modeltrail.storage.spool import frames
from modeltrail.storage.spool.frames import (
    MAGIC,
    OPEN_LIMIT_BYTES,
    Found,
    Place,
    Sealer,
    decode,
    scan,
)

SEALER = Sealer(bytes(32))


def frame(number: int = 1, **columns: object) -> Frame:
    """
    Return a frame.
    """
    return Frame(FrameKind.START, f"id-{number}", 1_700_000_000_000_000 + number, columns, {})


def encode(frame: Frame, place: Place | None = None) -> bytes:
    """
    Return a frame's bytes; all of it must be writable.
    """
    problems = Problems()
    data = frames.encode(frame, problems.note, place)
    assert problems.counts() == {}
    return data


def read(data: bytes) -> list[Frame]:
    """
    Return the frames in some bytes.
    """
    return [decode(found)[0] for found in scan(data)]


def test_frame_comes_back_as_it_was() -> None:
    """Kind, id, time, columns and the place of texts survive; the texts are not in it."""
    given = frame(feature="größe", tokens=5, flag=True, nothing=None)
    data = encode(replace(given, texts={"input": b"a very secret text"}), Place(7, 90))
    (found,) = scan(data)
    assert decode(found) == (given, Place(7, 90))
    assert b"secret" not in data


def test_texts_open_with_their_key_and_id_only() -> None:
    """Another key, or another call's id, opens nothing."""
    sealed = SEALER.seal({"input": b"text"}, "id-1")
    assert SEALER.open(sealed, "id-1") == {"input": b"text"}
    with pytest.raises(KeyMismatchError):
        Sealer(b"\1" * 32).open(sealed, "id-1")
    with pytest.raises(KeyMismatchError):
        SEALER.open(sealed, "id-2")


@given(st.binary(max_size=40), st.integers(0, 200))
def test_damage_costs_only_the_damaged_frame(noise: bytes, cut: int) -> None:
    """Whatever stands between two frames, a torn frame too, the others are found."""
    torn = encode(frame(9, text="x" * 100))[:cut]
    data = noise + encode(frame(1)) + torn + noise + encode(frame(2))
    found = [each.id for each in read(data)]
    assert found in (["id-1", "id-2"], ["id-1", "id-9", "id-2"])


@given(st.data())
def test_every_cut_of_a_file_gives_its_whole_frames(data: st.DataObject) -> None:
    """After a crash at any byte exactly the frames written whole are there."""
    encoded = [encode(frame(number, text="x" * number)) for number in range(5)]
    whole = b"".join(encoded)
    cut = data.draw(st.integers(0, len(whole)))
    ends = [sum(map(len, encoded[: number + 1])) for number in range(5)]
    assert len(read(whole[:cut])) == sum(end <= cut for end in ends)


def test_flipped_bit_is_noticed() -> None:
    """A frame whose bytes were changed is none."""
    data = bytearray(encode(frame()))
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1
        assert list(scan(bytes(changed))) == []


def test_length_beyond_the_end_does_not_stop_the_scan() -> None:
    """A header that promises more than there is hides nothing behind it."""
    assert [each.id for each in read(MAGIC + b"\xff" * 12 + encode(frame(3)))] == ["id-3"]


def test_zeros_behind_a_cut_header_are_no_frame() -> None:
    """A file may keep its length in a power failure, and lose what was in it."""
    for cut in range(len(encode(frame()))):
        data = encode(frame(1))[:cut] + bytes(64) + encode(frame(3))
        assert [each.id for each in read(data)] == ["id-3"]


def test_payload_of_another_version_is_an_error() -> None:
    """What is whole but no frame of ours raises, so that it can be counted."""
    for odd in (b'["hello"]', b'[99,"id",1,{},{},null]'):
        with pytest.raises(msgspec.ValidationError):
            decode(Found(0, 0, odd))


def test_too_many_labels_are_left_out() -> None:
    """What is not sealed is bounded."""
    problems = Problems()
    assert encode(frame(feature="x" * (OPEN_LIMIT_BYTES // 2)))
    (found,) = scan(frames.encode(frame(a="x" * OPEN_LIMIT_BYTES, b=1), problems.note))
    assert decode(found)[0] == frame(b=1)
    assert problems.counts() == {"field-not-plain": 1}
    facts = replace(frame(), facts={"x": "x" * OPEN_LIMIT_BYTES})
    with pytest.raises(ValueError, match="too much"):
        encode(facts)
