"""The command line: deepid data, train, evaluate, info, export, regions, search, reproduce, claims."""
