"""Rows of CSV."""

import csv

import pytest

from schemas.csv_rows import split_rows


def test_cells_may_be_long_quoted_and_delimited_by_anything() -> None:
    """Python's own bound on a cell, 128 KiB, is none."""
    long = "x" * 200_000

    assert list(split_rows(f'id;t\n1;"a;b ""c"""\n2;{long}\n', ";")) == [["id", "t"], ["1", 'a;b "c"'], ["2", long]]


def test_wrong_quote_is_an_error() -> None:
    """A payload that is cut off in a quote is not taken for a whole one."""
    with pytest.raises(csv.Error):
        list(split_rows('id\n"1', ","))
