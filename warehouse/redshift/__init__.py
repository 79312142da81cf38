"""Amazon Redshift: connections, COPY, and what its errors mean."""
