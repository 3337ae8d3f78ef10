"""A typed client for NIZAM's API.

It is thin: bodies are the models of `nizam.model`, paths and words are those of the API. It knows
neither Twisted nor the daemon, and can be used in any program.
"""

from nizam.client.client import Client
from nizam.client.collection import AmbiguousName, Collection
from nizam.client.errors import ApiError, CannotReach, ClientError, UnexpectedAnswer
from nizam.client.listing import Listing
from nizam.client.objects import Object, Secrets
from nizam.client.tenant import TenantClient

__all__ = [
    "AmbiguousName",
    "ApiError",
    "CannotReach",
    "Client",
    "ClientError",
    "Collection",
    "Listing",
    "Object",
    "Secrets",
    "TenantClient",
    "UnexpectedAnswer",
]
