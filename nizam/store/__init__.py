"""PostgreSQL: pools, tables, queries and the unit of work that every change goes through."""
