"""A fake language-model server with real sockets, real wire formats, random answers and faults. See `server`."""
