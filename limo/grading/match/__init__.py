"""Whether an answer is the gold one: form by form, down to single values."""
