"""Turns a message and its history into a verdict per recipient. Pure: no file, socket, clock or cipher.

Start reading at ``model`` (the values), then ``engine.judge``. ``ruleset`` checks and compiles the rules of
relay.toml (``conditions`` as written, ``compilation``, ``evaluation`` as run); ``scanning`` runs the detectors over
folded ``text``: ``identifiers``, ``keywords``, ``patterns``; ``attachments``, ``labels`` and ``recipients`` hold the
other facts a rule may ask about. ``redaction`` masks what leaves; ``explanation`` says why.
"""
