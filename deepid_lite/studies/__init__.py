"""Runs that give a recorded result, with its nulls and baselines, and the claims that are judged on them.

Chapters 8 to 14; `deepid reproduce` and `deepid claims` run them.
"""
