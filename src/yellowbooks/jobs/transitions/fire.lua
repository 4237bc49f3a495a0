#!lua flags=allow-oom
-- fire: up to when (ms) the firings of a schedule have been admitted; `at` moves it on, never back. A schedule that is
-- new begins now.
-- args: name at
-- gives: last now
-- emits:
local key = tag .. ':schedules'
local stored = try('HGET', key, args.name)
local last = math.max(tonumber(type(stored) == 'string' and stored or nil) or now, args.at)
call('HSET', key, args.name, string.format('%.0f', last))
return cmsgpack.pack({last, now})
