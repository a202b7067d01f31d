"""What a user gets wrong: one exception, and the one check that numbers are finite."""

import numpy as np


class DataError(ValueError):
    """Bad input from outside: a file, a value, an option.

    Its text is one line that names the file or value and the remedy; the command line prints it and exits with 2.
    """


def checked_features(values, name="features"):
    """`values`, features (N, D) or scores of any shape, as an array; DataError names the first that is not finite."""
    values = np.asarray(values)
    if values.dtype.kind not in "fiub":
        raise DataError(f"{name}: they are {values.dtype}, and real numbers are expected; give an array of numbers")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        bad = np.argwhere(~np.isfinite(values))
        place = ", ".join(f"{axis} {i}" for axis, i in zip(("row", "column"), bad[0], strict=False))
        raise DataError(f"{name}: {len(bad)} of {values.size} values are NaN or inf, the first in {place}; drop them")
    return values
