"""schemathesis against the whole daemon: everything that the OpenAPI document says, tried."""
