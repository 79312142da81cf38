"""Sparkify's statements in Redshift SQL, and their catalogue."""
