"""A Sphinx extension that reads the library's docstrings: `kgpert_lib.book.docstrings` in ``_config.yml``.

The docstrings are plain text with names between single backticks and sections as numpydoc has them, in which the text
about a parameter begins on its own line: ``limit : most neighbours that one graph gives.``
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import kgpert_lib
from kgpert_lib.book.api import home

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.addnodes import pending_xref
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

_SECTION = re.compile(r"(?P<indent> *)(?P<title>Parameters|Attributes|Returns|Raises|Examples)$")
_ARRAY = re.compile(r"~?numpy\.ndarray\[tuple\[[^]]*\], ~?numpy\.dtype\[(~?[\w.]+)(?:\[[^]]*\])?\]\]")
_FUNCTION = re.compile(r"= <(?:[^<>]|<[^<>]*>)*>")
_FIELD = re.compile(r"(?P<indent> *)(?P<names>[*\w][\w*, ]*?) : (?P<text>.+)")


def setup(app: Sphinx) -> dict[str, Any]:
    """Load Sphinx' own readers of docstrings and register what this module adds."""
    for extension in ("autodoc", "autosummary", "napoleon"):
        app.setup_extension(f"sphinx.ext.{extension}")
    app.connect("autodoc-process-docstring", numpydoc, priority=400)  # napoleon's is 500
    app.connect("autodoc-process-signature", short_types)
    app.connect("autodoc-skip-member", skip_unwritten)
    app.connect("missing-reference", resolve_short_name)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def numpydoc(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Bring the sections of a docstring into the form that napoleon reads.

    What is said of a parameter moves below its name, where napoleon does not take it for a type. A paragraph that
    follows the parameters, attributes or errors is set off by two empty lines, which end a section.
    """
    section, indent = "", ""
    out: list[str] = []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        head = _SECTION.match(line) if set(following.strip()) == {"-"} else None
        if head:
            section, indent = head["title"], head["indent"]
        elif section in ("Parameters", "Attributes", "Raises"):
            field = _FIELD.match(line)
            at_margin = line.startswith(indent) and line[len(indent) :][:1].strip()
            if field and field["indent"] == indent:
                out += [f"{indent}{field['names']}", f"{indent}    {field['text']}"]
                continue
            if at_margin and out[-1] == "" and not following.startswith(f"{indent} "):
                section = ""
                out.append("")
        out.append(line)
    lines[:] = out


def short_types(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Write the types of arrays as the source does, ``NDArray[float32]``, and defaults that are functions as ``...``.

    The constraints that pydantic puts on the fields of a model are left out.
    """
    if fields := getattr(obj, "model_fields", None):
        return f"(*, {', '.join(fields)})", None
    short = (text and _ARRAY.sub(r"NDArray[\1]", text) for text in (signature, returns))
    return _FUNCTION.sub("= ...", next(short) or "") or None, next(short)


def skip_unwritten(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Leave out the fields of named tuples, whose docstrings Python writes."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def resolve_short_name(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: nodes.Node
) -> nodes.Node | None:
    """Lead a name such as `Atlas.view` or `targets.ranked_readouts` to the one documented object that it ends."""
    from sphinx.util.nodes import make_refnode

    if node.get("refdomain") != "py" or node.get("reftype") not in ("obj", "class"):
        return None
    target = node["reftarget"]
    exported = (target if "." in target else f"{node.get('py:module')}.{target}").removeprefix("kgpert_lib.")
    if exported in kgpert_lib.__all__:
        target = home(exported)
    objects = env.domains["py"].data["objects"].items()
    matches = [(name, entry) for name, entry in objects if f".{name}".endswith(f".{target}")]
    if "." not in target:  # a lone word is often a parameter, and may be a method elsewhere
        matches = [(name, entry) for name, entry in matches if entry.objtype in ("class", "exception", "function")]
    if len(matches) != 1:
        return None
    [(name, entry)] = matches
    return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, contnode, name)
