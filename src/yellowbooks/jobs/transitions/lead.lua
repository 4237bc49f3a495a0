#!lua flags=allow-oom
-- lead: take or keep the seat of the one recorder that writes the job log. Two at once would only work twice.
-- args: seat milliseconds
-- gives: leading | taken
-- emits:
local seat_key = tag .. ':seat'
local holder = redis.call('GET', seat_key)
if holder and holder ~= args.seat then return cmsgpack.pack('taken') end
redis.call('SET', seat_key, args.seat, 'PX', args.milliseconds)
return cmsgpack.pack('leading')
