"""Keeps a run's lease for as long as the run lasts, on a connection of its own."""

from collections.abc import Callable
from threading import Event, Thread

from warehouse.target import Target

BEAT_SECONDS = 30.0
_PATIENCE_SECONDS = 10

_BEATING: dict[Target, "_Heartbeat"] = {}


def begin(target: Target, beat: Callable[[], None]) -> None:
    """Call `beat` at regular times, in a thread, until `end`. Ends with the process too."""
    end(target)
    _BEATING[target] = _Heartbeat(beat)
    _BEATING[target].start()


def end(target: Target) -> None:
    """Stop, after a beat that is under way; do not wait long for one that gets no answer."""
    if heartbeat := _BEATING.pop(target, None):
        heartbeat.ended.set()
        heartbeat.join(_PATIENCE_SECONDS)


class _Heartbeat(Thread):
    def __init__(self, beat: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self.beat = beat
        self.ended = Event()

    def run(self) -> None:
        while not self.ended.wait(BEAT_SECONDS):
            try:
                self.beat()
            except Exception:
                continue
