"""XML of strangers: read without entities, by the names of its elements alone."""

from __future__ import annotations

from xml.etree import ElementTree

from mig_sweep.indicator import DocumentError


def root_of(data: bytes) -> ElementTree.Element:
    """The outermost element.

    Entities are how XML of strangers grows, or reads files, so nothing with a document type is read.

    Raises:
        DocumentError: it has a document type, or is no XML.
    """
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise DocumentError("has a document type, which no such document needs")
    try:
        return ElementTree.fromstring(data)  # noqa: S314  # without a document type there are no entities
    except ElementTree.ParseError as error:
        raise DocumentError(f"is no XML: {error}") from None


def tag(node: ElementTree.Element) -> str:
    """The element's name without its namespace."""
    return str(node.tag).rpartition("}")[2]
