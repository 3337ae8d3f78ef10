-- KEYS: the position of one owner. Returns it, or nothing.
return redis.call('GET', KEYS[1])
