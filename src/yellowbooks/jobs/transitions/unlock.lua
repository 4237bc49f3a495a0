#!lua flags=allow-oom
-- unlock: give a named lock back; its fencing token is remembered.
-- args: name holder
-- gives: unlocked | lost
-- emits:
local key = tag .. ':locks'
local stored = try('HGET', key, args.name)
local lock = unpacked(stored)
if not lock or lock.holder ~= args.holder then return cmsgpack.pack('lost') end
lock.holder = ''
call('HSET', key, args.name, cmsgpack.pack(lock))
return cmsgpack.pack('unlocked')
