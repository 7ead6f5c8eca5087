"""The REST gateway: REST to gRPC and back, nothing else."""
