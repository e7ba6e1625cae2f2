"""The rules of a broker, by what they are about."""
