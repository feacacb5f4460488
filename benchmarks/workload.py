"""
What is asked and answered, everywhere the same.
"""

SYSTEM = "You answer for the service desk of a small software company."
PROMPT = (
    "Summarise the ticket below in two sentences and name the product it is about. "
    "The export of last month's ledger stops at page 40 with error 7, whatever the browser; "
    "a colleague with the same rights gets all 112 pages."
)
ANSWER = (
    "The customer cannot export last month's ledger: it stops at page 40 with error 7, though a "
    "colleague's export is complete. The product is the ledger of the web application."
)
MODEL = "gpt-4o-mini"
ANSWERED_BY = "gpt-4o-mini-2024-07-18"
INPUT_TOKENS = 74
OUTPUT_TOKENS = 38
METADATA = {"feature": "support", "variant": "concise"}
