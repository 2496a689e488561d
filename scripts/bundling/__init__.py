"""Builds the Lambda layers and the code bundle from locked wheels, without Docker: `make bundle`."""
