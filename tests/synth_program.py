"""Runs in CDK's own environment: synthesises the app once per given context. Arguments: pairs of folder and JSON context."""

from __future__ import annotations

import json
import sys

from cdk.app import synthesise

if __name__ == "__main__":
    for outdir, context in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
        synthesise(json.loads(context), outdir=outdir)
