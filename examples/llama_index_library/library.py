"""
A library's desk on LlamaIndex: a query engine over documents, and an agent that uses it.

Nothing here knows of the trail but the tags and the experiment: `instrument`, in
`__main__.py`, records every model call of the process.
"""

from llama_index.core import Document, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.query_engine import BaseQueryEngine
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike

import modeltrail
from modeltrail.experiment.assign import Experiment

MODELS = {"control": "gpt-4o", "treatment": "gpt-4o-mini"}
API_KEY = "sk-local-provider-needs-none"
BOOKS = (
    "Spiders have eight legs and no wings.",
    "Ants have six legs and live in colonies.",
    "Earthworms have no legs at all.",
)


class Library:
    """
    Answers questions of readers, each with the model of the reader's variant.
    """

    def __init__(self, base_url: str, experiment: Experiment) -> None:
        self._experiment = experiment
        self._llms = {
            variant: OpenAILike(
                model=model,
                api_base=base_url,
                api_key=API_KEY,
                is_chat_model=True,
                is_function_calling_model=True,
                max_retries=0,
                additional_kwargs={"stream_options": {"include_usage": True}},
            )
            for variant, model in MODELS.items()
        }
        embeddings = OpenAILikeEmbedding(
            model_name="text-embedding-3-small", api_base=base_url, api_key=API_KEY, max_retries=0
        )
        with modeltrail.tag(feature="indexing"):
            self._index = VectorStoreIndex.from_documents(
                [Document(text=text) for text in BOOKS], embed_model=embeddings
            )

    def search(self, reader: str, question: str) -> str:
        """
        Answer from the books.
        """
        with modeltrail.tag(feature="search", user=reader):
            return str(self._engine(self._variant(reader)).query(question))

    async def ask(self, reader: str, question: str) -> str:
        """
        Let an agent answer, which looks into the books by itself.
        """
        with modeltrail.tag(feature="desk", user=reader):
            variant = self._variant(reader)

            def look_up(topic: str) -> str:
                """Look a topic up in the books."""
                return " ".join(each.text for each in self._index.as_retriever().retrieve(topic))

            agent = FunctionAgent(tools=[look_up], llm=self._llms[variant])
            return str(await agent.run(question))

    def _engine(self, variant: str) -> BaseQueryEngine:
        return self._index.as_query_engine(llm=self._llms[variant])

    def _variant(self, reader: str) -> str:
        return self._experiment.assign(reader).variant or "control"
