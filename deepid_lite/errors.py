"""The one exception for what a user gets wrong."""


class DataError(ValueError):
    """Bad input from outside: a file, a value, an option.

    Its text is one line that names the file or value and the remedy; the command line prints it and exits with 2.
    """
