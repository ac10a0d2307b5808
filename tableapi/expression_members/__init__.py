"""The members of `Expression`, one file a topic."""
