"""Mail that we write ourselves: the pickup notice, the code, the receipt. Text first, HTML beside it, nothing attached.

`compose` is what others call; `mime` builds bytes; the wording stands in
``templates/<notice>/{text,html}.j2``, its translations in ``locale/<tag>.po``. Reports of delivery (DSN) are
no notices: see `relay.queue.dsn`.
"""
