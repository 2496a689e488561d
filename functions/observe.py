"""Logs, metrics and traces of a function, by Powertools: each line names the object or the subject that it is about.

What must not be seen is masked here as everywhere (I7): messages pass through the same filter as on one machine, and of
an exception only its type and place are shown.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

from functions.traces import XRay
from payments.masking import masked
from runtime.logging import LIBRARIES, message_of, place_of
from runtime.wakes import about

if TYPE_CHECKING:
    from runtime.measures import Measure

NAMESPACE = "Tieout"
SERVICE = os.environ.get("POWERTOOLS_SERVICE_NAME", "tieout")
"""The deployment that lines, figures and traces are of: several may share an account."""
log = logging.getLogger(__name__)
METRICS_MAX = 99
"""CloudWatch takes 100 figures in one line; with that many Powertools prints by itself, and has nothing left to print."""


class Quiet(LambdaPowertoolsFormatter):
    """Powertools' line of JSON, with the message masked and an exception reduced to its type and place."""

    def format(self, record: logging.LogRecord) -> str:
        shown = copy(record)
        shown.msg, shown.args = masked(message_of(record)), ()
        if record.exc_info and record.exc_info[1] is not None:
            shown.error, shown.place = type(record.exc_info[1]).__name__, place_of(record.exc_info[1])
        shown.exc_info = shown.exc_text = None
        line: str = super().format(shown)
        return line


class Observation:
    """Made once per environment, before anything else happens in it."""

    def __init__(self) -> None:
        self._logger = Logger(service=SERVICE, logger_formatter=Quiet(), stream=sys.stdout)
        # Never disabled by Powertools, which would import the X-Ray SDK to say so: XRay sends nothing where nothing is traced.
        self._tracer = Tracer(service=SERVICE, auto_patch=False, disabled=False, provider=XRay())
        root = logging.getLogger()
        root.handlers[:] = list(self._logger.handlers)
        root.setLevel(logging.INFO)
        for name in LIBRARIES:
            logging.getLogger(name).setLevel(logging.WARNING)

    @contextmanager
    def of(self, body: str) -> Iterator[None]:
        """Everything that is logged and traced meanwhile is about what this message names. Its good end is a line too."""
        subject, began = masked(about(body)), time.monotonic()
        self._logger.set_correlation_id(subject)
        try:
            with self._tracer.provider.in_subsegment(name="message") as trace:
                if trace is not None:
                    trace.put_annotation(key="about", value=subject)
                yield
            # Of a message that failed its failure is said; this line shows who handled one that did not.
            log.info("done in %.0f ms", (time.monotonic() - began) * 1000)
        finally:
            self._logger.set_correlation_id(None)


def publish(measures: Iterable[Measure]) -> None:
    """Print the measures for CloudWatch (embedded metric format), those about the same thing together."""
    from aws_lambda_powertools.metrics import EphemeralMetrics

    together: dict[tuple[tuple[str, str], ...], list[Measure]] = {}
    for each in measures:
        together.setdefault(tuple(sorted(each.of.items())), []).append(each)
    for of, found in together.items():
        for first in range(0, len(found), METRICS_MAX):
            metrics = EphemeralMetrics(namespace=NAMESPACE, service=SERVICE)
            for name, value in of:
                metrics.add_dimension(name=name, value=value)
            for each in found[first : first + METRICS_MAX]:
                metrics.add_metric(name=each.name, unit=each.unit, value=each.value)
            metrics.flush_metrics()
