"""
Experiments: who gets which variant, and what the variants did.
"""
