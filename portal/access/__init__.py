"""Who may see and send what: links, codes, visits, request forgery, forms and uploads, response headers.

Everything that is decided here is decided inside one transaction of the store; pages only show the outcome.
"""
