"""
The world that the applications live in: a provider, users and an experiment.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import modeltrail
from examples.demo.table import Question, Table
from modeltrail.experiment.assign import Experiment
from modeltrail.testing import Answer, Fault, LocalProvider, ProviderRequest
from modeltrail.trail import Trail

EXPERIMENT = "cheaper-model"
MODELS = {"control": "claude-3-haiku-20240307", "treatment": "gemini-2.0-flash-001"}
ARMS = {"control": 0.5, "treatment": 0.5}
USERS = 240
ATTEMPTS = 3
API_KEY = "sk-local-provider-needs-none"

# Every so many questions the provider refuses the first attempt.
RATE_LIMITED_EVERY = 97
BROKEN_EVERY = 131


class Task(NamedTuple):
    """
    A question that a user asks through a feature of an application.

    Attributes:
        streamed: Whether the application streams the answer.
    """

    question: Question
    user: str
    model: str
    streamed: bool

    @property
    def prompt(self) -> str:
        """
        Stand in for the question's text, which the table does not have.
        """
        return f"Question {self.question.id}"


def answers_from(table: Table) -> Callable[[ProviderRequest], Answer | Fault]:
    """
    Make a provider answer from the table, with an error now and then.
    """
    places = {question.id: place for place, question in enumerate(table.questions, start=1)}
    refused = set()

    def answer(request: ProviderRequest) -> Answer | Fault:
        id = request.body["messages"][-1]["content"].removeprefix("Question ")
        place = places[id]
        if id not in refused and place % RATE_LIMITED_EVERY == 0:
            refused.add(id)
            return Fault(status=429, headers={"retry-after": "0"})
        if id not in refused and place % BROKEN_EVERY == 0:
            refused.add(id)
            return Fault(status=500)
        measured = table.answers[id, request.model]
        return Answer(
            text=f"The answer to question {id}.",
            input_tokens=measured.input_tokens,
            output_tokens=measured.output_tokens,
        )

    return answer


def declared(trail: Trail) -> Experiment:
    """
    Say before the data how the experiment will be judged; saying it again adds nothing.
    """
    return trail.experiment(
        EXPERIMENT,
        ARMS,
        unit="user",
        control="control",
        primary="score",
        guardrails={"errors": 0.05},
        plan_units=USERS,
    )


@contextmanager
def asked(trail: Trail, question: Question, place: int) -> Iterator[Task]:
    """
    Let a user ask a question: assign the variant and tag the calls inside.
    """
    user = f"user-{place % USERS:03d}"
    experiment = declared(trail)
    tags = {"feature": question.feature, "segment": question.dataset, "question": question.id}
    # A question is a session of its own: attempts included, its score is that of all its calls.
    with modeltrail.tag(user=user, session=question.id, **tags):
        variant = experiment.assign(user).variant or "control"
        yield Task(question, user, MODELS[variant], streamed=place % 2 == 0)


def provider_for(table: Table) -> LocalProvider:
    """
    Return the provider, not started yet.
    """
    return LocalProvider(answers_from(table))
