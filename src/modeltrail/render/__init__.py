"""
From data to text: pure, without any input or output.
"""
