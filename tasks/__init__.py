"""The tasks that flows consist of. Each is one transaction, is retried, and is safe to repeat."""
