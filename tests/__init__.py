"""Tests; a package only so that `tests.servers` can be imported by name."""
