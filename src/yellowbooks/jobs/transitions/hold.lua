#!lua flags=allow-oom
-- hold: an operator stops a kind or a channel: its jobs wait and spend no attempt. Admission goes on.
-- args: channel by reason
-- gives: held
-- emits:
call('HSET', gates_key, args.channel, cmsgpack.pack({by = args.by, reason = args.reason, since = now}))
finish()
return cmsgpack.pack('held')
