"""Recorded answers, merged: what there must be."""

from pathlib import Path

import pytest

from bench.merge import main


@pytest.mark.parametrize("name", ["", "absent"], ids=["an empty directory", "none"])
def test_merge_without_recordings_is_refused(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """That none of none differ would look like a measurement."""
    directory = tmp_path / name

    with pytest.raises(SystemExit) as ended:
        main([str(directory)])

    assert ended.value.code == 2
    assert f"{directory}: expected recordings (*.json.gz), found none" in capsys.readouterr().err
