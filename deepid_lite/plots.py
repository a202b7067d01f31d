"""One function per figure of the paper, drawn from a study's recorded dict; each returns a matplotlib figure.

Colours are seaborn's colour-blind palette; what a colour says is also said by a place, a marker or a label.
"""
