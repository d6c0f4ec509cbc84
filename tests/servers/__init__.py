"""Real S3 servers on loopback, and a proxy in front of them that counts and breaks requests."""
