"""What `make release` does, and what it publishes: see CONTRIBUTING.md.

A folder of its own, because none of it runs with the service, and tests are not published.
"""
