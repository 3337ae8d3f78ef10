"""Objects as rows of tables: what CSV files (RFC 4180) hold of them, and how those are read."""
