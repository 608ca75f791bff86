"""The queue: what was accepted is sent, tried again, or reported; nothing else ever happens to it.

`items` writes a message with its entries, `entries` leases them to workers, `settling` says what an outcome
means and `recording` writes it down. `delivery` is the worker: what it was handed, or what `claims` brings, goes
into the lanes of `destinations`, which send through `transport` (`exchangers`, `pool`, `opening`, `session`,
`dialogue`, `content`). `backoff` and `patience` are the numbers, `dsn` writes reports, `requests` does for the portal
what only the relay may do, `pauses` is what an operator keeps back, `inspection` serves the command line.
"""
