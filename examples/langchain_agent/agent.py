"""
A support desk on LangChain: an agent with a tool, whose answers are streamed.

Nothing here knows of the trail but the tags and the experiment: `install`, in
`__main__.py`, records every model call of the process.
"""

from collections.abc import Callable

from langchain.agents import create_agent
from langchain_core.messages import AIMessageChunk, HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

import modeltrail
from modeltrail.experiment.assign import Experiment

MODELS = {"control": "gpt-4o", "treatment": "gpt-4o-mini"}
INSTRUCTIONS = "You answer questions about orders. Look each order up before you answer."


@tool
def order_status(order: str) -> str:
    """Tell where an order is."""
    return f"Order {order} has left the warehouse."


class SupportDesk:
    """
    Answers questions of users, each with the model of the user's variant.
    """

    def __init__(self, base_url: str, experiment: Experiment) -> None:
        self._experiment = experiment
        self._agents = {
            variant: create_agent(
                ChatOpenAI(
                    model=model,
                    base_url=base_url,
                    api_key="sk-local-provider-needs-none",
                    max_retries=0,
                    stream_usage=True,
                ),
                [order_status],
                system_prompt=INSTRUCTIONS,
                name="support-desk",
            )
            for variant, model in MODELS.items()
        }

    def answer(self, user: str, question: str, show: Callable[[str], object]) -> None:
        """
        Show the pieces of the answer as they come.

        It is no generator: between the pieces of one, the caller's code would
        run under the tags of this call.
        """
        with modeltrail.tag(feature="support", user=user):
            variant = self._experiment.assign(user).variant or "control"
            pieces = self._agents[variant].stream(
                {"messages": [HumanMessage(question)]},
                # LangGraph's thread is the session, unless the application names another one.
                config={"configurable": {"thread_id": f"{user}-today"}},
                stream_mode="messages",
            )
            for piece, _ in pieces:
                if isinstance(piece, AIMessageChunk) and piece.text:
                    show(piece.text)
