"""Who may see what: links, codes, visits, throttles, request forgery, response headers.

Everything that is decided here is decided inside one transaction of the store; pages only show the outcome.
"""
