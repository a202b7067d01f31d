"""python -m deepid_lite: the command line."""

from deepid_lite.cli.main import main

if __name__ == "__main__":
    main()
