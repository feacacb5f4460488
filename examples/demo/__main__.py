"""
Run the three applications, then show what the trail knows.
"""

import json
import logging
import shutil
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import modeltrail
from examples.demo.table import Table, load
from examples.demo.world import EXPERIMENT, Task, asked, provider_for
from modeltrail.testing import LocalProvider
from modeltrail.trail import Trail

FOLDER = Path("demo-trail")
DELIVERY_S = 20
APPLICATIONS = (
    ("langchain_app", "LangChainApp"),
    ("llama_index_app", "LlamaIndexApp"),
    ("litellm_app", "LiteLLMApp"),
)


class Application(Protocol):
    """
    What the three have in common.
    """

    def ask(self, task: Task) -> None:
        """Ask one question."""

    def close(self) -> None:
        """Stop recording."""


def main() -> None:
    """
    Record 809 questions and print reports.
    """
    logging.getLogger().setLevel(logging.CRITICAL)  # the refused requests are meant to be
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    url = f"sqlite:///{FOLDER}/calls.db"
    table = load()
    with provider_for(table) as provider, modeltrail.open(url) as trail:
        run_applications(trail, provider, table)
        trail.flush(DELIVERY_S)
        recorded = len(trail.store.calls(limit=None))
        write_provider_log(provider, FOLDER / "provider_requests.jsonl")
    print(f"The provider saw {len(provider.requests)} requests; the trail has {recorded} records.")
    report(url)


def run_applications(trail: Trail, provider: LocalProvider, table: Table) -> None:
    """
    Let every application ask its share of the questions.
    """
    columns = (TextColumn("{task.description:<20}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as progress:
        bar = progress.add_task("starting", total=len(table.questions))
        for place, (module, name) in enumerate(APPLICATIONS):
            progress.update(bar, description=f"starting {name}")
            app = start(module, name, trail, provider.base_url)
            progress.update(bar, description=f"asking {name}")
            for number in range(place, len(table.questions), len(APPLICATIONS)):
                ask(app, trail, table, number)
                progress.advance(bar)
            await_delivery(trail)
            app.close()


def start(module: str, name: str, trail: Trail, base_url: str) -> Application:
    """
    Start an application; its framework is imported only now, since that takes seconds.
    """
    made: Application = getattr(import_module(f"examples.demo.{module}"), name)(trail, base_url)
    return made


def ask(app: Application, trail: Trail, table: Table, number: int) -> None:
    """
    Let a user ask one question and record how well it was answered.
    """
    question = table.questions[number]
    with asked(trail, question, number) as task:
        app.ask(task)
    trail.outcome("score", table.answers[question.id, task.model].score, session=question.id)


def await_delivery(trail: Trail) -> None:
    """
    Wait for what a framework tells late: LiteLLM announces ends on other threads.
    """
    deadline = time.monotonic() + DELIVERY_S
    while trail.health().open_calls and time.monotonic() < deadline:
        time.sleep(0.01)


def write_provider_log(provider: LocalProvider, path: Path) -> None:
    """
    Write what the provider saw, so that anyone can compare it with the trail.
    """
    with path.open("w", encoding="utf-8") as file:
        for served in provider.requests:
            line = {"path": served.path, "model": served.model, "status": served.status}
            line["question"] = served.body["messages"][-1]["content"]
            file.write(json.dumps(line) + "\n")


def report(url: str) -> None:
    """
    Print what the trail knows, by the commands that anyone would use.
    """
    command(url, "Calls by framework and status", "cost", "--by", "framework,status")
    command(url, "Cost by feature and variant", "cost", "--by", "feature,variant")
    command(url, "The two variants compared", "compare", EXPERIMENT)
    choice = ("--between", "variant", "--quality", "outcome:score")
    command(url, "Which is worth its price", "route", "frontier", *choice)
    margin = ("--experiment", EXPERIMENT, "--margin", "0.1")
    command(url, "Which model for which feature", "route", "cheapest", *choice, *margin)
    program = Path(sys.executable).with_name("modeltrail")
    shown = program.relative_to(Path.cwd()) if program.is_relative_to(Path.cwd()) else program
    print(f"The trail is {FOLDER}/calls.db. Try next:")
    for words in ("calls list -n 10 --status error", "cost --by variant --format json", "doctor"):
        print(f"  {shown} --db {url} {words}")


def command(url: str, title: str, *words: str) -> None:
    """
    Run one command of the program.
    """
    print(f"\n{title}: modeltrail {' '.join(words)}", flush=True)
    ran = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "modeltrail", "--db", url, *words], check=False
    )
    # 1 is a finding and 3 "cannot tell": both are answers.
    if ran.returncode not in (0, 1, 3):
        raise SystemExit(ran.returncode)


if __name__ == "__main__":
    main()
