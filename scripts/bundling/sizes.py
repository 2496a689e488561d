"""Adds up what each function would unpack, holds it against Lambda's limit, and shows it."""

from __future__ import annotations

from collections import Counter

from functions.topology import BESIDE, TOPOLOGY
from scripts.bundling.parts import Part

UNZIPPED_BYTES_MAX = 250 << 20
"""A function's code with all its layers (AWS Lambda Developer Guide, "Lambda quotas")."""
LAYERS_MAX = 5
LARGEST_SHOWN = 6


def layers_by_function() -> dict[str, tuple[str, ...]]:
    return {**{each.name: each.layers for each in TOPOLOGY}, **{each.name: each.layers for each in BESIDE}}


def function_sizes(layers: dict[str, Part], code: Part) -> dict[str, int]:
    """Function -> bytes unpacked."""
    return {
        name: code.unzipped_bytes + sum(layers[layer].unzipped_bytes for layer in names)
        for name, names in layers_by_function().items()
    }


def complaints(layers: dict[str, Part], code: Part) -> list[str]:
    """What Lambda would refuse, one line for each function, with its largest packages."""
    found = []
    for name, size in function_sizes(layers, code).items():
        names = layers_by_function()[name]
        if len(names) > LAYERS_MAX or "base" not in names:
            found.append(f"{name}: has {len(names)} layers; allowed are at most {LAYERS_MAX}, one of them base")
        if size > UNZIPPED_BYTES_MAX:
            packages: Counter[str] = Counter()
            for part in (code, *(layers[layer] for layer in names)):
                packages.update(part.packages)
            largest = ", ".join(f"{package} {_mib(each)}" for package, each in packages.most_common(LARGEST_SHOWN))
            found.append(
                f"{name}: {_mib(size)} MiB unzipped, {_mib(UNZIPPED_BYTES_MAX)} are allowed; largest in MiB: {largest}"
            )
    return found


def table(layers: dict[str, Part], code: Part) -> str:
    """For people: each zip, then each function."""
    lines = [f"{'ZIP':<12}{'UNZIPPED MiB':>14}{'ZIPPED MiB':>12}  LARGEST"]
    for name, part in {**layers, "code": code}.items():
        largest = ", ".join(f"{package} {_mib(size)}" for package, size in list(part.packages.items())[:3])
        lines.append(f"{name:<12}{_mib(part.unzipped_bytes):>14}{_mib(part.zipped_bytes):>12}  {largest}")
    lines += ["", f"{'FUNCTION':<12}{'UNZIPPED MiB':>14}{'OF 250 MiB':>12}  LAYERS"]
    for name, size in function_sizes(layers, code).items():
        share = f"{100 * size / UNZIPPED_BYTES_MAX:.0f} %"
        lines.append(f"{name:<12}{_mib(size):>14}{share:>12}  {' '.join(layers_by_function()[name])}")
    return "\n".join(lines)


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.1f}"
