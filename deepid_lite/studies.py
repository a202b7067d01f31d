"""The paper's studies as functions of a `Scale`, each a dict of plain numbers for JSON.

`STUDIES` names them for the command line (`deepid reproduce NAME`); plots.py draws their results. Every study holds its
null model beside the net: a claim counts only where the trained net beats its null.
"""

STUDIES = {}


def study(function):
    """Register a study under its function's name."""
    STUDIES[function.__name__] = function
    return function
