"""What an operator expects of calls: tenant documents, calls, and where they go. See README.md."""
