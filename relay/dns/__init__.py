"""What the rest of the world must find in the DNS for mail of this gateway: looked up, compared, and said how to mend.

`inspection` is what others call; `lookup` asks, the other modules are pure and judge one kind of record each.
"""
