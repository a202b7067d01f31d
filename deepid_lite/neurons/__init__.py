"""What single neurons are like: sparse, selective, robust; binary codes and searching with them.

Chapters 8 to 11.
"""
