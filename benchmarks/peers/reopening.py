"""
The next process that opens our trail, and does nothing else.
"""

import modeltrail

if __name__ == "__main__":
    modeltrail.open().close()
