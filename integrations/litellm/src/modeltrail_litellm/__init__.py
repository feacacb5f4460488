"""
Record every model call of a LiteLLM application in a modeltrail.

Example:
    trail = modeltrail.open("sqlite:///calls.db")
    install(trail)
    litellm.completion(model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}])
"""

from modeltrail_litellm.handler import TrailLogger, install, uninstall

__version__ = "0.1.0"

__all__ = ["TrailLogger", "__version__", "install", "uninstall"]
