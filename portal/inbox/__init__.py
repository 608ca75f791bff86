"""The demo inbox: a local stand-in for both next hops, with a web page for every mailbox. Demo only.

    deliveries   what arrived, kept as files in ``demo-inbox/`` (what would lie in people's own mailboxes)
    reception    the SMTP side: takes everything the gateway relays
    writing      mail that "staff" write and answer, sent through the gateway like any client's
    pages, app   the web page and the process

It is refused outside the demo (relay/config) and listens on loopback alone: it shows every mail to anybody.
"""
