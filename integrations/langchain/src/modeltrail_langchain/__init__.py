"""
Record every model call of a LangChain application in a modeltrail.

Example:
    install(modeltrail.open("sqlite:///calls.db"))
    model.invoke("hi")
"""

from modeltrail_langchain.embeddings import recorded
from modeltrail_langchain.everywhere import install, uninstall
from modeltrail_langchain.handler import TrailCallbackHandler

__version__ = "0.1.0"

__all__ = ["TrailCallbackHandler", "__version__", "install", "recorded", "uninstall"]
