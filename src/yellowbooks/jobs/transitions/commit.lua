#!lua flags=allow-oom
-- commit: the point of no return: the worker is about to do what cannot be undone. Only the token's holder may.
-- args: items lease
-- item: id token
-- gives: committed | lost
-- emits:
local logical = logical_clock()
return each(function(item)
  if not holds(load(item.id), item.token) then return 'lost' end
  redis.call('ZADD', leases_key, 'XX', logical + args.lease, item.id)
  redis.call('HSET', job_key(item.id), 'committed', item.token)
  return 'committed'
end)
