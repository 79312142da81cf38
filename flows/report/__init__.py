"""The analytics report: one HTML page and its charts."""
