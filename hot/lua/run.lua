-- run returns the identity of this run of the server that holds a key.
--
-- KEYS  1 any of the server's
return run(clock())
