"""The threads of a gRPC server."""

#: They run the calls that are answered at once.
CALLS = 16
#: They do for streams what would keep the event loop waiting.
STREAMS = 32
#: Looks at the database for the health service.
HEALTH = 1
