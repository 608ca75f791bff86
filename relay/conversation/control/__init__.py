"""Control by reply: what a sender writes back to a receipt or a question of ours, and what we do and answer."""
