"""Calls one handler as Lambda does, in a bare interpreter: `bare_handler.py HANDLER EVENT`; prints its answer and what was loaded."""

from __future__ import annotations

import json
import sys
from importlib import import_module


def main() -> None:
    module, _, name = sys.argv[1].rpartition(".")
    answer = getattr(import_module(module), name)(json.loads(sys.argv[2]), None)
    loaded = sorted({each.partition(".")[0] for each in sys.modules})
    print(json.dumps({"answer": answer, "packages": loaded}))


if __name__ == "__main__":
    main()
