"""What the Graph answers: node types, fields, paging, permissions, errors."""
