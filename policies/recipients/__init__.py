"""What a rule may ask about a recipient: where the address belongs, and whether the sender knows it."""
