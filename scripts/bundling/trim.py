"""Removes from installed wheels what no function uses. A test imports and runs every function from what is left.

Licences and METADATA stay, and `entry_points.txt`, which packages look up by `importlib.metadata`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from scripts.bundling import elf

AWS_SERVICES = ("ecs", "s3", "secretsmanager", "sqs", "sts")
"""The services whose descriptions stay in botocore: those that we call, and the one that hands out roles."""

EVERYWHERE = (
    "*.dist-info/RECORD",
    "*.dist-info/WHEEL",
    "*.dist-info/INSTALLER",
    "*.dist-info/REQUESTED",
    "*.dist-info/direct_url.json",
    "*.dist-info/top_level.txt",
    "*.dist-info/sboms",
    "*.dist-info/zip-safe",
    "bin",
    "**/__pycache__",
    "**/tests",
    "**/*.pyi",
    "**/py.typed",
    # What C extensions are made from.
    "**/*.pyx",
    "**/*.pxd",
    "**/*.pxi",
    "**/*.h",
    "**/*.hpp",
    "**/*.c",
    "**/*.cc",
    "**/*.a",
)

OF_PACKAGES = (
    # Arrow in columns, Parquet, IPC and CSV. libarrow_python links substrait and dataset, whose module wants JSON: they stay.
    "pyarrow/libarrow_flight.so*",
    "pyarrow/libarrow_s3.so*",
    "pyarrow/libarrow_python_flight.so*",
    "pyarrow/libarrow_python_parquet_encryption.so*",
    # Copies of one library under three names: the loader asks for the middle one.
    "pyarrow/libarrow_python.so",
    "pyarrow/libarrow_python.so.*.*.*",
    "pyarrow/_azurefs.*",
    "pyarrow/_dataset_orc.*",
    "pyarrow/_dataset_parquet_encryption.*",
    "pyarrow/_feather.*",
    "pyarrow/_flight.*",
    "pyarrow/_gcsfs.*",
    "pyarrow/_hdfs.*",
    "pyarrow/_orc.*",
    "pyarrow/_parquet_encryption.*",
    "pyarrow/_pyarrow_cpp_tests.*",
    "pyarrow/_s3fs.*",
    "pyarrow/_substrait.*",
    "pyarrow/include",
    "pyarrow/includes",
    "pyarrow/src",
    # numpy as the kernels use it.
    "numpy/_core/include",
    "numpy/_core/lib",
    "numpy/_core/_multiarray_tests.*",
    "numpy/_core/_operand_flag_tests.*",
    "numpy/_core/_rational_tests.*",
    "numpy/_core/_simd.*",
    "numpy/_core/_struct_ufunc_tests.*",
    "numpy/_core/_umath_tests.*",
    "numpy/_pyinstaller",
    "numpy/f2py",
    "numpy/fft",
    "numpy/polynomial",
    "numpy/random",
    "numpy/testing",
    # XML, read and validated; no HTML, no ISO Schematron, no second data model.
    "lxml/html",
    "lxml/includes",
    "lxml/isoschematron",
    "lxml/objectify.*",
    "lxml/objectpath.*",
    "lxml/sax.*",
    # paramiko asks for it only to run commands that an OpenSSH configuration names, and does without.
    "invoke",
    "invoke-*.dist-info",
    # Two databases of the many; records are not mapped to objects.
    "sqlalchemy/dialects/mssql",
    "sqlalchemy/dialects/mysql",
    "sqlalchemy/dialects/oracle",
    "sqlalchemy/ext/[!_c]*",
    "sqlalchemy/orm",
    "sqlalchemy/testing",
    "alembic/testing",
    "alembic/templates",
    "_duckdb-stubs",
    "duckdb/experimental",
    "adbc_driver_duckdb",
    "boto3/examples",
    "boto3/data",
    # Lambda calls the page itself: the router of Powertools and its copy of an API browser are not used.
    "aws_lambda_powertools/event_handler",
    # Dates of holidays are asked for, never their names.
    "holidays/locale",
)


def trim(folder: Path) -> None:
    """Everything that the rules name is removed from `folder`; libraries are cut behind what the loader reads."""
    for rule in (*EVERYWHERE, *OF_PACKAGES):
        for path in list(folder.glob(rule)):
            _remove(path)
    _trim_services(folder / "botocore" / "data")
    for library in folder.rglob("*.so*"):
        elf.cut(library)
    _remove_empty(folder)


def _trim_services(data: Path) -> None:
    for path in data.iterdir() if data.is_dir() else ():
        if path.is_dir() and path.name not in AWS_SERVICES:
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _remove_empty(folder: Path) -> None:
    for path in sorted((each for each in folder.rglob("*") if each.is_dir()), reverse=True):
        if not any(path.iterdir()):
            path.rmdir()
