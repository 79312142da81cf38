"""The steps a flow is made of: each one retried, each one transaction, each safe to run again."""
