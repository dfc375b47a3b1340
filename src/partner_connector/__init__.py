"""Partner Connector: see which people at your Meta business partners can access your assets."""

__version__ = "0.1.0"
