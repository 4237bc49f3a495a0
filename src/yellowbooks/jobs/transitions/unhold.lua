#!lua flags=allow-oom
-- unhold: a kind or a channel goes on: at once, or at `pace` jobs a second until nobody waits.
-- args: channel pace kinds
-- gives: open | not_held
-- emits:
local gate = gate_of(args.channel)
if not gate then return cmsgpack.pack('not_held') end
if args.pace > 0 then
  call('HSET', gates_key, args.channel, cmsgpack.pack({pace = args.pace}))
else
  call('HDEL', gates_key, args.channel)
end
for _, kind in ipairs(args.kinds) do woken[kind] = true end
finish()
return cmsgpack.pack('open')
