"""Renders OpenAPI 3 documents as pages: plain HTML, in the site's style, with no script."""
