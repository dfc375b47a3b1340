"""The process that faces the internet: the app, its routes, its document, its pages."""
