"""The schema's history: one alembic line for all tables, run by relay/store/schema.py."""
