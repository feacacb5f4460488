"""
What is told meanwhile.
"""

import sys


def tell(progress: str) -> None:
    """
    Tell on stderr; stdout is for results.
    """
    print(progress, file=sys.stderr, flush=True)
