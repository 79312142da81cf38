"""Objects in S3: listed, read and downloaded, and what its errors mean."""
