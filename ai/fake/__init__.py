"""A language-model server that is not one: real sockets, real wire formats, drawn answers and faults. See `server`."""
