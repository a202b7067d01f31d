"""Other systems of the DeepID family, one paper in one module; they do not know each other.

CONTRIBUTING.md has the template.
"""
