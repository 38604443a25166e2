"""A child process whose output is read line by line, and which never outlives the check."""

import atexit
import re
import subprocess
import threading
from collections.abc import Container, Sequence
from types import TracebackType
from typing import Self

from .case import InteropError

_running: set["Process"] = set()


class Process:
    """Starts `command`; standard error is read together with standard output. Leaving the `with` kills it."""

    def __init__(self, command: Sequence[str], name: str | None = None) -> None:
        self._name = name or command[0].rsplit("/", 1)[-1]
        self._lines: list[str] = []
        self._at_end = False
        self._news = threading.Condition()
        self._popen = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        _running.add(self)
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _read(self) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            with self._news:
                self._lines.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._at_end = True
            self._news.notify_all()

    def wait_for_line(self, pattern: str, timeout: float) -> re.Match[str]:
        """The first line that contains `pattern`, waiting for it if it has not been printed yet."""
        expression = re.compile(pattern)
        checked = 0
        match: re.Match[str] | None = None

        def found() -> bool:
            nonlocal checked, match
            while match is None and checked < len(self._lines):
                match = expression.search(self._lines[checked])
                checked += 1
            return match is not None or self._at_end

        with self._news:
            self._news.wait_for(found, timeout)
            if match is None:
                how = "ended" if self._at_end else f"ran {timeout:.0f} s"
                raise InteropError(f"{self._name} {how} without printing /{pattern}/; {self._last_words()}")
            return match

    def finish(self, timeout: float, statuses: Container[int] = (0,)) -> list[str]:
        """Waits until the process has ended by itself, with one of the statuses; everything that it printed."""
        with self._news:
            if not self._news.wait_for(lambda: self._at_end, timeout):
                raise InteropError(f"{self._name} did not end in {timeout:.0f} s; {self._last_words()}")
        status = self._popen.wait(timeout)
        _running.discard(self)
        if status not in statuses:
            raise InteropError(f"{self._name} ended with status {status}; {self._last_words()}")
        return self._lines

    def terminate(self) -> None:
        """Asks the process to end (SIGTERM)."""
        self._popen.terminate()

    def kill(self) -> None:
        """Ends the process without a word to its peers (SIGKILL)."""
        self._popen.kill()
        self._popen.wait()
        _running.discard(self)

    def _last_words(self) -> str:
        return "its last lines: " + (" / ".join(self._lines[-3:]) or "none")


@atexit.register
def kill_all() -> None:
    """Kills what is still running, however the check came to its end."""
    for process in list(_running):
        process.kill()
