"""
A call as text.
"""

from modeltrail.record import CallRecord
from modeltrail.render.call import COLUMNS, GROUPS, SHORT_ID, cells, line, page

RECORD = CallRecord(
    id="01a20a5a-ca9c-7b78-a956-fe25bc44610e",
    framework="test",
    framework_version="1",
    operation="chat",
    started_at_us=1_790_000_000_000_000,
    status="ok",
    request_model="asked",
    response_model="served",
    cost_nanousd=0,
    schema_ok=False,
)


def test_every_column_of_the_record_is_in_one_group() -> None:
    """A new column must be given its place on the page."""
    listed = [name for names in GROUPS.values() for name in names]
    assert sorted(listed) == sorted(CallRecord.__struct_fields__)


def test_cells() -> None:
    """Nothing is a dash, a zero is a zero, and what was served is told if it differs."""
    assert cells(RECORD) == (
        *("2026-09-21 14:13:20", RECORD.id[:SHORT_ID], "—", "—", "asked → served"),
        *("—/—", "$0.00", "—", "—", "ok"),
    )
    assert len(cells(RECORD)) == len(COLUMNS)


def test_page_tells_no_from_not_reported() -> None:
    """False is an answer; None is none."""
    lines = page(RECORD)
    assert "  schema_ok                   no" in lines
    assert (
        "  not reported: input_chars, output_chars, output_format, input_digest, "
        "output_digest, prompt_digest" in lines
    )


def test_line_is_aligned() -> None:
    """Lines of different calls have their columns in the same places."""
    assert line(RECORD).index("$0.00") == 118
    assert line(RECORD).endswith("  ok")
