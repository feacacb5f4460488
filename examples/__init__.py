"""
Small real applications, each run by a test.
"""
