"""The simulated Graph API: node types, fields, paging, permissions and errors."""
