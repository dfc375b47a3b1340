"""External checks of the API contract: linters, a fuzzer, a mock server. `make contract`."""
