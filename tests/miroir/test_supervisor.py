"""The plan's way to the supervisor, and what it writes; what it does is tested with ``miroir up``."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from miroir.stack_plan import StackPlan
from miroir.stack_state import Phase, StackState, read_state
from miroir.supervisor import Board, build_plan, parse_plan

DEADLINE_S = 30.0


@pytest.mark.parametrize(
    "plan",
    [StackPlan(Path("/a")), StackPlan(Path("/a b"), 5, 2, 0, "h:1,i:2", Path("/bin/meilisearch"))],
    ids=["embedded", "real"],
)
def test_plan_built_is_parsed_back(plan: StackPlan) -> None:
    """The supervisor gets the plan that was meant."""
    assert parse_plan(build_plan(plan)) == plan


async def test_board_state_that_cannot_be_written_is_written_later(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A full disk, or a directory that is gone, is said; once it is there, the state tells the troubles that stand."""
    directory = tmp_path / "state"

    def state(step: str, troubles: tuple[str, ...]) -> StackState:
        return StackState(Phase.READY, step=step, troubles=troubles)

    board = Board(state, directory)
    board.note("worker-1", "worker-1 ended", "worker-1 is in trouble")
    board.note("worker-2", "worker-2 ended", "worker-2 is in trouble")
    board.note("worker-1", "worker-1 runs again", "")
    writing = asyncio.create_task(board.run())
    told = ""
    async with asyncio.timeout(DEADLINE_S):
        while "cannot be written" not in told:
            await asyncio.sleep(0.01)
            told += capsys.readouterr().err
        directory.mkdir()
        while (written := read_state(directory)) is None:  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.01)
    writing.cancel()
    with suppress(asyncio.CancelledError):
        await writing

    assert (written.step, written.troubles) == ("worker-1 runs again", ("worker-2 is in trouble",))
