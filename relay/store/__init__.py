"""Everything durable but the blobs: engine, group commit, schema, audit chains, history.

``open_store`` is the door: transactions are submitted to one writer thread, many share one COMMIT, and nothing
is reported as done before that COMMIT returned.
"""
