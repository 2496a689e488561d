"""Lambda entry points, one file each; on one machine the workers call the same handlers."""

import os

# OpenBLAS starts a thread for each processor when numpy is imported, at up to 100 ms CPU of a cold start; nothing here multiplies matrices.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
