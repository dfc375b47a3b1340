"""Partner Connector: which people at your Meta business partners can touch your assets."""

__version__ = "0.1.0"
