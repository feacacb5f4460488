"""
Record every model call of a LangChain application in a modeltrail.

Example:
    trail = modeltrail.open("sqlite:///calls.db")
    model.invoke("hi", config={"callbacks": [TrailCallbackHandler(trail)]})
"""

from modeltrail_langchain.handler import TrailCallbackHandler

__version__ = "0.1.0"

__all__ = ["TrailCallbackHandler", "__version__"]
