#!lua flags=allow-oom
-- lock: take or keep a named lock for a while. The fencing token grows with each new holder, never back: the first one
-- is the time, so that those after a lost queue are greater than those before it.
-- args: name holder milliseconds
-- gives: the fencing token, or 0 where another holds it
-- emits:
local key = tag .. ':locks'
local stored = try('HGET', key, args.name)
local lock = unpacked(stored) or {token = now, holder = '', ends = 0}
if lock.holder ~= args.holder then
  if lock.holder ~= '' and lock.ends > logical then
    finish()
    return cmsgpack.pack(0)
  end
  lock.token = lock.token + 1
end
lock.holder, lock.ends = args.holder, logical + args.milliseconds
call('HSET', key, args.name, cmsgpack.pack(lock))
finish()
return cmsgpack.pack(lock.token)
