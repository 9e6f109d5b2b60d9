"""The actors, in the order of a conversation: chat → response → memory.

They do not know one another; they meet in `contracts`.
"""
