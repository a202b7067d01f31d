"""Drawings of recorded results, one function a figure; nothing is computed here.

Chapters 5 and 7 to 14.
"""
