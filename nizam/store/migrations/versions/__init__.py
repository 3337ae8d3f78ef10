"""The schema's history, applied by nizam/store/migrate.py."""
