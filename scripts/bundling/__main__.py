"""`make bundle`: build/bundle/layers/<name>.zip, build/bundle/code.zip and build/bundle/sizes.json for Lambda.

Exit status 1: a wheel is missing, or a function would be too large for Lambda.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from functions.topology import Layer
from scripts.bundling import bytecode, parts, sizes
from scripts.bundling.locks import ROOT
from scripts.bundling.parts import Part
from scripts.bundling.target import DEFAULT_PYTHON, MACHINES, Target, on_lambda, on_this_machine
from scripts.bundling.wheels import WheelsMissing


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bundle", description=__doc__)
    parser.add_argument("--python", default=DEFAULT_PYTHON, help="Lambda's Python (default: %(default)s)")
    parser.add_argument("--arch", default="x86_64", help=f"{' or '.join(MACHINES)} (default: %(default)s)")
    parser.add_argument("--here", action="store_true", help="for this machine's Python instead: an emulator, a test")
    parser.add_argument("--out", type=Path, help="default: build/bundle, with --here build/bundle-here")
    parser.add_argument("--json", action="store_true", help="print sizes.json")
    args = parser.parse_args()
    out = args.out or ROOT / "build" / ("bundle-here" if args.here else "bundle")
    try:
        target = on_this_machine() if args.here else on_lambda(args.python, args.arch)
        layers, code = build(target, out)
    except (ValueError, WheelsMissing) as error:
        print(f"bundle: {error}", file=sys.stderr)
        return 1
    complaints = sizes.complaints(layers, code)
    made = described(target, layers, code)
    (out / "sizes.json").write_text(json.dumps(made, indent=1) + "\n")
    print(json.dumps(made) if args.json else sizes.table(layers, code))
    if bytecode.interpreter(target) is None:
        print(f"bundle: without bytecode: no Python {target.python} here; cold starts will compile", file=sys.stderr)
    for complaint in complaints:
        print(f"bundle: {complaint}", file=sys.stderr)
    return 1 if complaints else 0


def build(target: Target, out: Path) -> tuple[dict[str, Part], Part]:
    """Every layer of the topology, and the code; what is there already and would be the same is left alone."""
    out.mkdir(parents=True, exist_ok=True)
    known = _known(out / "sizes.json")
    layers = {name: parts.layer(name, target, out, known) for name in get_args(Layer)}
    return layers, parts.code(target, out, known)


def described(target: Target, layers: dict[str, Part], code: Part) -> dict[str, Any]:
    """What sizes.json says: for `cdk`, for tests, and for the next `make bundle`."""
    return {
        "python": target.python,
        "architecture": target.arch,
        "has_bytecode": bytecode.interpreter(target) is not None,
        "unzipped_bytes_max": sizes.UNZIPPED_BYTES_MAX,
        "functions": sizes.function_sizes(layers, code),
        "layers": {name: asdict(part) for name, part in layers.items()},
        "code": asdict(code),
    }


def _known(file: Path) -> dict[str, Part]:
    try:
        made = json.loads(file.read_text())
        found = [Part(**each) for each in (*made["layers"].values(), made["code"])]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return {part.file: part for part in found}


if __name__ == "__main__":
    sys.exit(main())
