"""The format: what was written is read, what is damaged is passed over, and nothing raises."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yellowbooks.spool.frame import (
    DONE,
    HEADER,
    LONGEST_RECORD,
    MARK,
    RECORD,
    decode,
    encode,
    encode_done,
    scan,
    waiting,
)

RECORDS = st.lists(st.binary(max_size=60) | st.just(MARK) | st.just(HEADER), max_size=8)


def file_of(records: list[bytes]) -> tuple[bytes, list[int]]:
    data, offsets = HEADER, []
    for record in records:
        offsets.append(len(data))
        data += encode(RECORD, record, len(data))
    return data, offsets


@given(RECORDS)
def test_what_was_written_is_read(records: list[bytes]) -> None:
    data, offsets = file_of(records)
    found = scan(data)
    assert [(frame.offset, frame.data) for frame in found.frames] == list(zip(offsets, records, strict=True))
    assert (found.end, found.damaged) == (len(data), 0)


@given(RECORDS, st.data())
def test_a_torn_tail_loses_nothing_before_it(records: list[bytes], data: st.DataObject) -> None:
    whole, offsets = file_of(records)
    size = data.draw(st.integers(len(HEADER), len(whole)))
    tail = data.draw(st.sampled_from([b"", bytes(40), os.urandom(40)]))
    found = scan(whole[:size] + tail)
    kept = sum(end <= size for end in [*offsets[1:], len(whole)][: len(records)])
    assert [frame.data for frame in found.frames] == records[:kept]
    assert found.end <= size


@settings(max_examples=300)
@given(RECORDS, st.data())
def test_damage_costs_only_what_it_hits(records: list[bytes], data: st.DataObject) -> None:
    whole, offsets = file_of(records)
    begin = data.draw(st.integers(len(HEADER), len(whole)))
    junk = data.draw(st.binary(min_size=1, max_size=30))
    hurt = (whole[:begin] + junk + whole[begin + len(junk) :])[: max(len(whole), begin)]
    ends = [*offsets[1:], len(whole)][: len(records)]
    whole_ones = [
        record
        for record, offset, end in zip(records, offsets, ends, strict=True)
        if hurt[offset:end] == whole[offset:end]
    ]
    assert [frame.data for frame in scan(hurt).frames] == whole_ones


@given(st.binary(max_size=300), st.integers(-3, 300))
def test_no_bytes_make_it_raise(data: bytes, at: int) -> None:
    scan(data)
    scan(HEADER + data)
    decode(data, max(at, 0))
    list(waiting(scan(HEADER + data).frames))


def test_a_frame_inside_a_record_is_no_frame() -> None:
    """A record may hold the bytes of a frame; torn, it must not give birth to it."""
    inner = encode(RECORD, b"forged", 0)
    data = HEADER + encode(RECORD, b"before", len(HEADER))
    outer = encode(RECORD, inner + inner, len(data))
    assert [frame.data for frame in scan(data + outer[:-3]).frames] == [b"before"]


def test_a_record_that_was_struck_off_does_not_wait() -> None:
    data, offsets = file_of([b"a", b"b", b"c"])
    data += encode_done(offsets[1], len(data))
    assert [frame.data for frame in waiting(scan(data).frames)] == [b"a", b"c"]
    assert scan(data).frames[-1].kind == DONE


def test_a_record_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="at most"):
        encode(RECORD, bytes(LONGEST_RECORD + 1), 8)
