"""The HTTP contract (DESIGN, section 5), one noun a file. Routes hold clients, never actors."""
