"""The front door: listeners, TLS, the SMTP conversation, and who may send.

Read in this order: `values` (what goes in and out), `replies` (the one table of answers), `access`
and `strangers` (who may send, and how much), `inbox`, `connection`, `session`, `message_reading`, `transaction` and
`conversation` (one client, from the greeting to the last reply), `paths` and `parameters` (what MAIL and RCPT may
say), `authentication`, `signing_in` and `failed_sign_ins` (AUTH), `data`, `chunking` and `overflow` (the octets of a
message), `listener` and `implicit_tls` (sockets, sweeping, stopping).
"""
