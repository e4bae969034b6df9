"""A checked contract as JUnit XML: one testsuite per file, one testcase per bound.

A bound that failed is a `failure`, a bound that was not measured an `error`. JUnit XML has no standard; the
attributes and their order are those that Ant's schema and Jenkins' schema both accept.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from mocovit_deploy.contract.result import Check, ContractResult, FileResult
from mocovit_deploy.parity.decide import FAIL, NOT_RUN

FILE_NAME = "parity-contract.xml"
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""A character that XML 1.0 cannot hold."""


def junit(result: ContractResult) -> str:
    """The report as text. Characters that XML cannot hold become "?"."""
    suites = ET.Element("testsuites")
    for number, file in enumerate(result.files):
        suites.append(_suite(result, file, number))
    ET.indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(suites, encoding="unicode")}\n'


def _suite(result: ContractResult, file: FileResult, number: int) -> ET.Element:
    verdicts = [check.verdict for check in file.checks]
    suite = _element(
        "testsuite",
        name=file.subject,
        package=file.model,
        id=str(number),
        timestamp=result.started,
        hostname="localhost",
        tests=str(len(verdicts)),
        failures=str(verdicts.count(FAIL)),
        errors=str(verdicts.count(NOT_RUN)),
        time=f"{sum(check.seconds for check in file.checks):.3f}",
    )
    properties = ET.SubElement(suite, "properties")
    for name, value in (("contract", result.contract), ("path", file.path or "none"), ("how", file.how)):
        properties.append(_element("property", name=name, value=str(value)))
    for check in file.checks:
        suite.append(_case(file, check))
    ET.SubElement(suite, "system-out").text = _clean("\n".join(file.notes))
    ET.SubElement(suite, "system-err")
    return suite


def _case(file: FileResult, check: Check) -> ET.Element:
    case = _element(
        "testcase",
        name=check.name,
        classname=f"{file.model}.{file.title.replace(' ', '_')}",
        time=f"{check.seconds:.3f}",
    )
    kind = {FAIL: "failure", NOT_RUN: "error"}.get(check.verdict)
    if kind is not None:
        told = ET.SubElement(case, kind, message=_clean(check.reason), type=type(check.error).__name__)
        told.text = _clean(
            f"measured {check.measured}, {check.bound}, margin {check.margin}\n{check.by}".strip()
        )
    return case


def _element(tag: str, **attributes: str) -> ET.Element:
    return ET.Element(tag, {name: _clean(value) for name, value in attributes.items()})


def _clean(text: str) -> str:
    return _NOT_XML.sub("?", text)
