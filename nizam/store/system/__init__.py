"""The paths that work across tenants: each a named function, and nowhere else."""
