-- Pauses a server for so many milliseconds, unless it is paused for longer already. KEYS: its pause.

if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], '1', 'PX', ARGV[1]) end
