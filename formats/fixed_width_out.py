"""Writes payments as records of fixed width, by a declared layout: a header, one detail record each, a trailer.

The encodings have one byte per character, so that a place in a record is the same in characters and in bytes.
"""

from __future__ import annotations

from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from formats.details import LINE_ENDS, around_text, detail_text, refuse_hidden
from formats.header import FileHeader
from formats.layout_names import DETAIL
from formats.rows import CountedRows, refuse_where, text_bytes
from payments.config_files import FixedField, FixedWidth
from payments.errors import SetAside


def write_fixed_width(header: FileHeader, rows: CountedRows, sink: BinaryIO, layout: FixedWidth) -> None:
    """Write the whole file. Raises SetAside, naming the payment, for a value that its field cannot hold, and BooksOff."""
    sink.write(_around(header, layout, "header"))
    first = 1
    for batch in rows:
        sink.write(_details(batch, layout, first))
        first += batch.num_rows
    rows.check()
    sink.write(_around(header, layout, "trailer"))


def _around(header: FileHeader, layout: FixedWidth, record: str) -> bytes:
    """The one header or trailer record; nothing where the layout has none."""
    values = around_text(header, layout.date_format)
    fields = [each for each in layout.field if each.record == record]
    texts = []
    for each in fields:
        text = values[each.name] if each.constant is None else each.constant
        if len(text) > each.width or not text.isprintable() or not _encodable(text, layout.encoding):
            raise SetAside(
                f"file {header.name}: {record} field {each.name} cannot be written in {each.width} characters"
            )
        texts.append(text.rjust(each.width, each.pad) if each.align == "right" else text.ljust(each.width, each.pad))
    return ("".join(texts) + LINE_ENDS[layout.line_end]).encode(layout.encoding) if fields else b""


def _details(batch: pa.RecordBatch, layout: FixedWidth, first_line: int) -> bytes:
    parts = [
        _padded(batch, each, _text(batch, each, layout, first_line), layout.encoding)
        for each in layout.field
        if each.record == "detail"
    ]
    lines = pc.binary_join_element_wise(*parts, LINE_ENDS[layout.line_end], "")
    return text_bytes(lines).decode().encode(layout.encoding)


def _text(batch: pa.RecordBatch, field: FixedField, layout: FixedWidth, first_line: int) -> pa.Array:
    """The values of one field before they are padded."""
    if field.name not in DETAIL:
        return pa.array([field.constant or ""] * batch.num_rows, pa.string())
    text = detail_text(batch, field.name, first_line, layout.date_format)
    if field.constant is not None:
        refuse_where(batch, pc.not_equal(text, field.constant), f"{field.name} is not {field.constant!a}")
    if field.values:
        codes = pc.index_in(text, pa.array([*field.values], pa.string()))
        refuse_where(batch, pc.is_null(codes), f"{field.name} has a value without a code in the layout")
        return pa.array([*field.values.values()], pa.string()).take(codes)
    return text


def _padded(batch: pa.RecordBatch, field: FixedField, text: pa.Array, encoding: str) -> pa.Array:
    refuse_where(batch, pc.greater(pc.utf8_length(text), field.width), f"{field.name} is longer than {field.width}")
    refuse_hidden(batch, field.name, text)
    if not text_bytes(text).isascii():
        foreign = pa.array([not _encodable(each, encoding) for each in text.to_pylist()])
        refuse_where(batch, foreign, f"{field.name} holds a character that {encoding} does not have")
    if field.name == "end_to_end_id":
        # A reference that begins or ends like its padding could not be told from a shorter one.
        bare = pc.utf8_ltrim(text, field.pad) if field.align == "right" else pc.utf8_rtrim(text, field.pad)
        refuse_where(batch, pc.not_equal(bare, text), "end_to_end_id looks like the padding of its field")
        refuse_where(batch, pc.equal(text, ""), "end_to_end_id is missing")
    pad = pc.utf8_lpad if field.align == "right" else pc.utf8_rpad
    return pad(text, field.width, field.pad)


def _encodable(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
