"""Answers: found in a response, spelt one way."""
