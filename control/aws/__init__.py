"""AWS, a module a service."""
