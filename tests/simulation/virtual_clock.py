"""An event loop whose time passes only while nobody has anything to do: a run depends on nothing but its seed.

It waits for no socket and for no other thread, so its turn is a few lines: what is due, in the order of its time, and
of two of the same instant the one that was set first.
"""

import asyncio
import contextvars
import itertools
import selectors
from collections import deque
from collections.abc import Callable, Coroutine
from heapq import heappop, heappush
from typing import Any

TURN_S = 1e-6
"""Every turn of the loop takes time, as on a machine: who waits for the next instant must not wait for ever."""


class DeadlockError(Exception):
    """Every task waits for another one, and no timer is set."""


class Call:
    """What ``asyncio.Handle`` and ``asyncio.TimerHandle`` are, without what a loop of its own does not need."""

    __slots__ = ("args", "callback", "context", "is_cancelled", "when_s")

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], context: contextvars.Context | None, when_s: float
    ) -> None:
        self.callback = callback
        self.args = args
        self.context = contextvars.copy_context() if context is None else context
        self.is_cancelled = False
        self.when_s = when_s

    def cancel(self) -> None:
        """Let it not happen."""
        self.is_cancelled = True

    def cancelled(self) -> bool:
        """Return whether it will not happen."""
        return self.is_cancelled

    def when(self) -> float:
        """Return when it is due."""
        return self.when_s


class NumberedTask(asyncio.Task[Any]):
    """A task whose place in a set follows from when it was made, not from where it lies in memory."""

    _count = itertools.count(1)

    def __init__(self, running: Coroutine[Any, Any, Any], **kwargs: Any) -> None:
        self._number = next(NumberedTask._count)
        super().__init__(running, **kwargs)

    def __hash__(self) -> int:
        """Return its number."""
        return self._number


def _make_task(loop: asyncio.AbstractEventLoop, running: Coroutine[Any, Any, Any], **kwargs: Any) -> NumberedTask:
    return NumberedTask(running, loop=loop, **kwargs)


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """An event loop with a clock of its own."""

    def __init__(self) -> None:
        self._now_s = 0.0
        self._calls: deque[Call] = deque()
        self._timers: list[tuple[float, int, Call]] = []
        self._timer_numbers = itertools.count()
        self.unheard: list[BaseException] = []
        """What was raised where nobody waits for it: in a callback, or in a task that was forgotten."""
        super().__init__(selectors.SelectSelector())
        NumberedTask._count = itertools.count(1)
        self.set_task_factory(_make_task)  # type: ignore[arg-type]  # the stub knows no keyword arguments

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep what nobody else hears of."""
        self.unheard.append(context.get("exception") or RuntimeError(context["message"]))

    def time(self) -> float:
        """Return the seconds that have passed."""
        return self._now_s

    def call_soon(  # type: ignore[override]  # a handle of our own
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> Call:
        """Call in the next turn."""
        call = Call(callback, args, context, 0.0)
        self._calls.append(call)
        return call

    def call_later(  # type: ignore[override]  # a handle of our own
        self, delay: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> Call:
        """Call after so many seconds."""
        return self.call_at(self._now_s + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]  # a handle of our own
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> Call:
        """Call at a time."""
        call = Call(callback, args, context, when)
        heappush(self._timers, (when, next(self._timer_numbers), call))
        return call

    def _run_once(self) -> None:
        """Let the time pass, to the next timer where nobody has anything to do, and call what is due."""
        calls, timers = self._calls, self._timers
        self._now_s += TURN_S
        if not calls and not self._stopping:  # type: ignore[attr-defined]  # asyncio's own
            while timers and timers[0][2].is_cancelled:
                heappop(timers)
            if not timers:
                raise DeadlockError("every task waits, and no timer is set")
            self._now_s = max(self._now_s, timers[0][0])
        while timers and timers[0][0] <= self._now_s:
            calls.append(heappop(timers)[2])
        for _ in range(len(calls)):
            call = calls.popleft()
            if not call.is_cancelled:
                self._call(call)

    def _call(self, call: Call) -> None:
        try:
            call.context.run(call.callback, *call.args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - as asyncio's own loop does
            self.call_exception_handler({"message": f"Exception in {call.callback!r}", "exception": error})
