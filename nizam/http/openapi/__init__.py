"""The OpenAPI 3.1 document, made from the routes and from the models that validate."""

from nizam.http.openapi.document import document
from nizam.http.openapi.models import model_schema
from nizam.http.openapi.resource_schemas import schema_name
from nizam.http.openapi.words import article, plural

__all__ = ["article", "document", "model_schema", "plural", "schema_name"]
