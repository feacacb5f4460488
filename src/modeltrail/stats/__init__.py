"""
Statistics of model calls: pure functions on numbers, standard library only.
"""
