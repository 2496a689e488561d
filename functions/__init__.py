"""Lambda entry points, one file each; on one machine the workers call the same handlers."""
