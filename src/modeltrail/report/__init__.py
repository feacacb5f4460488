"""
Reports on the calls of a trail.
"""
