"""The HTML book as a Sphinx project: `sphinx-build book out`, in the project's environment."""

from book.l2book import mathjax

project = "The L2 Book"
author = "The L2 Book authors"
copyright = author
language = "en"
root_doc = "index"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinxcontrib.bibtex",
    "book.l2book",
]
exclude_patterns = ["_static", "_templates", "running"]
templates_path = ["_templates"]

nb_execution_mode = "off"
nb_code_prompt_show = nb_code_prompt_hide = "Code"
nb_merge_streams = True
nb_render_markdown_format = "myst"
myst_enable_extensions = ["amsmath", "dollarmath"]
myst_dmath_double_inline = True
myst_heading_anchors = 4

# The API page.
add_module_names = False
autodoc_typehints_format = "short"
napoleon_custom_sections = [("Attributes", "params_style")]
napoleon_use_rtype = False

bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "plain"
bibtex_cite_id = "cite-{key}"

html_theme = "sphinx_book_theme"
html_title = project
html_static_path = ["_static", str(mathjax())]
html_sidebars = {"**": ["book-head.html", "sbt-sidebar-nav.html"]}
html_css_files = ["book.css"]
html_js_files = ["book.js"]
html_sourcelink_suffix = ""
html_show_sphinx = False
html_use_index = False
html_domain_indices = False
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

# MathJax lies in _static in one file: formulas are drawn from file:// with no network.
mathjax_path = mathjax().name
mathjax3_config = {
    "tex": {"processEscapes": True},
    # Without its menu, a formula is no stop of the Tab key; MathML for screen readers stays on.
    "options": {"enableMenu": False, "menuOptions": {"settings": {"assistiveMml": True}}},
}
