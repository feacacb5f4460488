"""
A program that makes twenty calls through a framework's real client and ends in one of many ways.

Run as: python -m faults.survivor FRAMEWORK ENDING DATABASE_URL PROVIDER_URL
"""

import asyncio
import atexit
import importlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import SimpleNamespace

import modeltrail

CALLS = 20
PARENTS_CALLS = 3
EXIT_CODE = 3
AT_EXIT = "at exit"

# No program stops recording before it ends.
_kept: list[object] = []


class Program:
    """
    The program: its trail, and the framework's client that is recorded in it.
    """

    def __init__(self, framework: str, url: str, base_url: str) -> None:
        self.origin = (framework, url, base_url)
        self.trail = modeltrail.open(url)
        module = importlib.import_module(f"drivers.{framework}")
        recording = module.driver(self.trail, SimpleNamespace(base_url=base_url))
        _kept.append(recording)
        self.driver = recording.__enter__()

    def call(self, calls: int = CALLS) -> None:
        """
        Call without flush, close or sleep.
        """
        for _ in range(calls):
            self.driver.chat()

    def call_first(self) -> None:
        """
        Make the calls of a parent.

        LiteLLM's pool of threads is let come to rest: forked at work it keeps a child from ever
        ending, whatever logger is installed.
        """
        self.call(PARENTS_CALLS)
        self.driver.deliver()

    async def acall(self) -> None:
        """
        Do the same on an event loop.
        """
        for number in range(CALLS):
            await self.driver.achat(str(number))

    def outlive_main(self, may_end: threading.Event) -> None:
        """
        Call when the main thread has nothing more to do.

        That is too late for LiteLLM, whose calls fail by then, whatever logger is installed.
        """
        is_late = self.origin[0] != "litellm"
        if not is_late:
            self.call()
        may_end.set()
        threading.main_thread().join()
        if is_late:
            self.call()


def end_normally(program: Program) -> None:
    """Come to the end of the script."""
    program.call()


def exit_at_once(program: Program) -> None:
    """Skip all that an interpreter does at exit."""
    program.call()
    os._exit(EXIT_CODE)


def be_killed(program: Program) -> None:
    """Get a signal that nobody can handle."""
    program.call()
    os.kill(os.getpid(), signal.SIGKILL)


def be_killed_before_anything_is_stored(program: Program) -> None:
    """Get it when nothing but the appends has happened."""
    program.trail._background.writer.stop(60)
    be_killed(program)


def be_terminated(program: Program) -> None:
    """Get a signal that nobody handles."""
    program.call()
    os.kill(os.getpid(), signal.SIGTERM)


def fork_a_child_that_exits_at_once(program: Program) -> None:
    """Have a child call and skip all that an interpreter does at exit."""
    if fork(program):
        program.call()
        os._exit(EXIT_CODE)


def fork_a_child_that_exits(program: Program) -> None:
    """Have a child call and end as an interpreter does."""
    if fork(program):
        program.call()
        sys.exit(EXIT_CODE)


def fork(program: Program) -> bool:
    """
    Fork when calls have been made, and tell whether this is the child.

    The parent waits for it.
    """
    program.call_first()
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == EXIT_CODE
    return not child


def start_a_process_by_fork(program: Program) -> None:
    """Have a process of `multiprocessing` call with what it inherits; it runs nothing at exit."""
    start(program, "fork", program.call)


def start_a_process_by_spawn(program: Program) -> None:
    """Have a process of `multiprocessing` open the trail by itself."""
    start(program, "spawn", open_and_call, *program.origin)


def start(program: Program, method: str, target: Callable[..., None], *args: str) -> None:
    """
    Start a process when calls have been made, and wait for it.
    """
    program.call_first()
    process = multiprocessing.get_context(method).Process(target=target, args=args)
    process.start()
    process.join()
    assert process.exitcode == 0


def open_and_call(framework: str, url: str, base_url: str) -> None:
    """
    Be a program of one's own.
    """
    Program(framework, url, base_url).call()


def close_an_event_loop(program: Program) -> None:
    """Come to the end of the script right after the end of the loop."""
    asyncio.run(program.acall())


def leave_a_thread(program: Program) -> None:
    """Have a thread that the interpreter waits for."""
    may_end = threading.Event()
    threading.Thread(target=program.outlive_main, args=[may_end]).start()
    may_end.wait()


def be_interrupted(program: Program) -> None:
    """Make a call more; who answers it interrupts it, and is told whom."""
    print(os.getpid(), flush=True)
    program.call(CALLS + 1)


ENDINGS: dict[str, Callable[[Program], None]] = {
    "exit": end_normally,
    "exit-at-once": exit_at_once,
    "SIGKILL": be_killed,
    "SIGKILL-writer-stopped": be_killed_before_anything_is_stored,
    "SIGTERM": be_terminated,
    "forked-exit-at-once": fork_a_child_that_exits_at_once,
    "forked-exit": fork_a_child_that_exits,
    "multiprocessing-fork": start_a_process_by_fork,
    "multiprocessing-spawn": start_a_process_by_spawn,
    "loop-closed": close_an_event_loop,
    "thread-at-exit": leave_a_thread,
}


def live(framework: str, ending: str, url: str, base_url: str) -> None:
    """
    Open the trail, call and end.
    """
    atexit.register(print, AT_EXIT)
    end = be_interrupted if ending == "SIGINT" else ENDINGS[ending]
    end(Program(framework, url, base_url))


if __name__ == "__main__":
    live(*sys.argv[1:])
