"""Sphinx configuration of the HTML book. book/build.py copies it into the source tree it assembles."""

from docutils import nodes
from sphinx.application import Sphinx

project = "The L2 Book"
author = "The L2 Book authors"
copyright = author
language = "en"
root_doc = "index"
extensions = ["myst_nb", "sphinxcontrib.bibtex"]
exclude_patterns = ["_static"]

nb_execution_mode = "off"
nb_merge_streams = True
nb_render_markdown_format = "myst"
myst_enable_extensions = ["amsmath", "dollarmath"]
myst_dmath_double_inline = True
myst_heading_anchors = 4
bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "plain"
bibtex_cite_id = "cite-{key}"

html_theme = "sphinx_book_theme"
html_title = project
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_js_files = ["book.js"]
html_sourcelink_suffix = ""
html_show_sphinx = False
html_use_index = False
html_last_updated_fmt = None
html_context = {"default_mode": "auto"}
html_theme_options = {
    "navbar_start": [],
    "navbar_center": [],
    "navbar_end": [],
    "navbar_persistent": [],
    "home_page_in_toc": True,
    "show_toc_level": 2,
    "use_download_button": True,
    "use_fullscreen_button": False,
    "footer_content_items": ["extra-footer.html"],
    "extra_footer": "<p>Code: MIT licence. Text and figures: "
    '<a href="https://creativecommons.org/licenses/by/4.0/">CC BY 4.0</a>. '
    "Source: each page's own file, under its download button.</p>",
}

# MathJax is copied into _static by build.py: formulas are drawn from file:// with no network.
mathjax_path = "mathjax/tex-svg.js"
mathjax3_config = {
    "tex": {"processEscapes": True},
    # Without its menu, a formula is no stop of the Tab key; MathML for screen readers stays on.
    "options": {"enableMenu": False, "menuOptions": {"settings": {"assistiveMml": True}}},
}


def leave_display_math_alone(app: Sphinx, doctree: nodes.document) -> None:
    r"""Hand unlabelled $$…$$ to MathJax as it stands, as JupyterLab does; Sphinx's wrapping breaks \tag."""
    for node in doctree.findall(nodes.math_block):
        if not node.get("label") and not node.get("no-wrap", node.get("nowrap", False)):
            text = rf"\[{node.astext()}\]"
            node.children = []
            node += nodes.Text(text)
            node["no-wrap"] = True


def setup(app: Sphinx) -> None:
    """Connect what Sphinx has no option for."""
    app.connect("doctree-read", leave_display_math_alone)
