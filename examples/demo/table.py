"""
What RouterArena measured: tokens, dollars and score of two models on 809 questions.
"""

import csv
import gzip
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

PATH = Path(__file__).with_name("routerarena_calls.csv.gz")

# The data sets, grouped into what an application would call its features.
FEATURES = {
    "maths": ("AIME", "AsDiv", "FinQA", "GSM8K", "MATH", "MathQA"),
    "medicine": ("MedMCQA", "PubMedQA"),
    "code": ("LiveCodeBench", "ChessInstruct"),
    "language": ("NarrativeQA", "SuperGLUE", "SocialiQA", "WMT19", "Ethics"),
    "knowledge": (
        "ArcMMLU",
        "GeoBench",
        "GeoGraphyData",
        "MMLU",
        "MMLUPro",
        "MusicTheoryBench",
        "OpenTDB",
        "QANTA",
    ),
}
_FEATURE_OF = {family: feature for feature, families in FEATURES.items() for family in families}


class Question(NamedTuple):
    """
    A question; its text is not in the table.
    """

    id: str
    dataset: str
    feature: str


class Answered(NamedTuple):
    """
    What one model's answer to one question took, cost and scored.

    Attributes:
        score: From 0 to 1.
    """

    input_tokens: int
    output_tokens: int
    cost_usd: Decimal
    score: float


class Table(NamedTuple):
    """
    All of it.

    Attributes:
        answers: (question id, model) -> what was measured.
    """

    questions: list[Question]
    answers: dict[tuple[str, str], Answered]


def load() -> Table:
    """
    Read the table.
    """
    questions: dict[str, Question] = {}
    answers = {}
    with gzip.open(PATH, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            id, dataset = row["question_id"], row["dataset"]
            family = dataset.partition("_")[0].partition("-")[0]
            questions.setdefault(id, Question(id, dataset, _FEATURE_OF[family]))
            answers[id, row["model"]] = Answered(
                int(row["input_tokens"]),
                int(row["output_tokens"]),
                Decimal(row["cost_usd"]),
                float(row["score"]),
            )
    return Table(list(questions.values()), answers)
