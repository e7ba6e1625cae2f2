"""Public conformance suites: what makes a backend a right one."""
