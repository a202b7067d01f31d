"""People who do not exist, drawn from a seed: measures of a head, its parts, light and camera.

Needs nothing of the other rooms but the error class.
"""
