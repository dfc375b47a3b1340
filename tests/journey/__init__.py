"""The product as its users meet it: real processes, real databases, real HTTP, a simulated Meta."""
