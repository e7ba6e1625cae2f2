"""What tests of services and of backends are made with."""
