"""The recipient portal: link, code, read. Server-rendered, without script, account or third party.

    app        the composition: pages, access rules and services become one ASGI application and one process
    cli        `letterlock portal`
    access/    who may see what: codes, visits, throttles, request forgery, headers, ranges, and the trail of it all
    pages/     two or three handlers a module: the link and its code, the conversation, downloads
    rendering/ what a reader sees: mail HTML made safe, plain text, names, templates in the reader's language
    templates/ static/ locale/   what the pages are made of
    inbox/     the demo's stand-in for everybody's mailbox

It opens what the relay stored (relay/vault/opener.py) with the portal's keys, and asks the relay to send what is to
be sent (relay/queue/requests.py). It defines no table.
"""
