"""What `make release` does, and what it publishes: see CONTRIBUTING.md."""
