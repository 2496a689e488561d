"""Assemble curated payments into files, deliver the files, collect what the acquirer answers."""
