"""The function code and its layers, as `make bundle` wrote them."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from cdk.environment import Environment, WrongContext

ARCHITECTURES = {"x86_64": lambda_.Architecture.X86_64, "arm64": lambda_.Architecture.ARM_64}
CERTIFICATES = "ledger-ca"
NEXT = "Run `make bundle` first, with the same ARCH and PYTHON, or give -c bundle=DIR."


class Bundle:
    """The folder with `code.zip` and `layers/NAME.zip`, for one architecture and one Python."""

    def __init__(self, folder: Path, *, architecture: str, python: str) -> None:
        if architecture not in ARCHITECTURES:
            raise WrongContext(f"architecture: {architecture!r} is neither {' nor '.join(ARCHITECTURES)}")
        _check_target(folder, architecture=architecture, python=python)
        self._folder = folder
        self.architecture = ARCHITECTURES[architecture]
        self.runtime = lambda_.Runtime(f"python{python}", lambda_.RuntimeFamily.PYTHON)

    def code(self) -> lambda_.AssetCode:
        """The rooms: one zip for all functions."""
        return lambda_.Code.from_asset(str(self._found("code.zip")))

    def code_hash(self) -> str:
        return hashlib.sha256(self._found("code.zip").read_bytes()).hexdigest()

    def layer(self, name: str) -> lambda_.AssetCode:
        return lambda_.Code.from_asset(str(self._found(f"layers/{name}.zip")))

    def certificates(self, path: Path) -> lambda_.AssetCode:
        """A layer with one file: the certificates that the ledger is checked with."""
        if not path.is_file():
            raise WrongContext(f"ledger_ca: {path} is not there")
        packed = self._folder / f"{CERTIFICATES}.zip"
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr(zipfile.ZipInfo(f"{CERTIFICATES}.pem"), path.read_bytes())
        return lambda_.Code.from_asset(str(packed))

    def _found(self, name: str) -> Path:
        path = self._folder / name
        if not path.is_file():
            raise WrongContext(f"{path} is not there. {NEXT}")
        return path


def _check_target(folder: Path, *, architecture: str, python: str) -> None:
    """`make bundle` says in sizes.json for what it was: functions of another Python could not be loaded."""
    sizes = folder / "sizes.json"
    if sizes.is_file():
        made = json.loads(sizes.read_text())
        if (made["architecture"], made["python"]) != (architecture, python):
            raise WrongContext(
                f"{folder} was made for Python {made['python']} on {made['architecture']}, the context says {python} "
                f"on {architecture}. {NEXT}"
            )


class Layers(Construct):
    """The layers of one stack, each made when the first function asks for it.

    Every stack has its own: a layer shared between stacks could not be replaced while another one uses it.
    """

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment, bundle: Bundle) -> None:
        super().__init__(scope, construct_id)
        self._environment = environment
        self._bundle = bundle
        self._made: dict[str, lambda_.LayerVersion] = {}

    def named(self, names: Sequence[str]) -> list[lambda_.LayerVersion]:
        more = [CERTIFICATES] if self._environment.ledger_ca else []
        return [self._layer(name) for name in (*names, *more)]

    def _code(self, name: str) -> lambda_.AssetCode:
        if name == CERTIFICATES:
            return self._bundle.certificates(Path(self._environment.ledger_ca))
        return self._bundle.layer(name)

    def _layer(self, name: str) -> lambda_.LayerVersion:
        if name not in self._made:
            self._made[name] = lambda_.LayerVersion(
                self,
                name.capitalize(),
                layer_version_name=self._environment.named(name),
                code=self._code(name),
                compatible_runtimes=[self._bundle.runtime],
                compatible_architectures=[self._bundle.architecture],
                description=f"Locked dependencies of Tieout: {name}",
            )
        return self._made[name]
