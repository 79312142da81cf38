"""Sparkify's statements, in Redshift SQL, and the list of them."""
