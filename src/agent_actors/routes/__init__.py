"""The HTTP contract (docs/http-api.md), one noun a file. Routes hold clients, never actors."""
