"""The reference at /docs: the OpenAPI document as pages for people, with nothing loaded from
elsewhere."""

from nizam.http.docs.site import DocumentationSite, build

__all__ = ["DocumentationSite", "build"]
