-- What the store says of itself, at the node that holds this server's counters, and for how many milliseconds the server is
-- paused. KEYS: its pause.

return {redis.call('INFO', 'server'), redis.call('INFO', 'memory'), redis.call('INFO', 'replication'),
  redis.call('PTTL', KEYS[1])}
