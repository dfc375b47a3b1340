"""Judges of the contract from outside: linters, a fuzzer, a mock server. `make contract`."""
