"""The named prompt sets, and sets from a user's file."""
