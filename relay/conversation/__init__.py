"""The conversation between ordinary mail clients and the portal: answers, commands by reply, bounces of our own mail.

`reception` sorts what comes in by its recipients; behind each kind of address of ours stands a desk.
"""
