"""The threads of a gRPC server."""

#: They run the calls that are answered at once.
CALLS = 16
#: They do for streams what would keep the event loop waiting.
STREAMS = 30
#: They read what calls that only read wait for, each for many of them.
READS = 2
#: Looks at the database for the health service.
HEALTH = 1
