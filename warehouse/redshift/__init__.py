"""Amazon Redshift: connections to it, COPY, and what its errors mean."""
