"""
Record every model call of a LiteLLM application in a modeltrail.

Example:
    trail = modeltrail.open("sqlite:///calls.db")
    install(trail)
    litellm.completion(model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}])
"""

from modeltrail_litellm.handler import TrailLogger, install, uninstall
from modeltrail_litellm.router import deployment_for

__version__ = "0.1.0"

__all__ = ["TrailLogger", "__version__", "deployment_for", "install", "uninstall"]
