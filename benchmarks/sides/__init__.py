"""What runs inside a worker: our side and the others, each imports only what it measures."""
